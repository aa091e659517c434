"""The learning of evaluation tasks: scikit-learn beside embedpool on the same data, in turn.

Logistic regression: 10 rounds of 8 samples of each of 77 classes, 576 values, and 3,080 test texts (the size of Banking77
in MTEB). Clustering: 20,000 vectors of 20 classes by mini-batch k-means as in MTEB (batches of 500, one start by k-means++),
and by k-means from the same centres until no row changes its cluster. float32 on both sides.

Of each round the fastest of three runs after a warm one counts, and of the rounds the median. What was found is printed
beside the time, for equal work: accuracy of the classification; inertia and steps of the clusterings.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

WIDTH, CLASSES, SAMPLES, ROUNDS, TEST = 576, 77, 77 * 8, 10, 3080
CLUSTERED, CLUSTERS, RUNS = 20_000, 20, 3
Result = dict[str, float]


def around_centres(rows: int, labels: int, centres: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rows around centres, row i of class i % labels; some dimensions are much larger than others, as in embeddings."""
    scale = 1 / (1 + np.arange(WIDTH) % 24)
    x = (random.standard_normal((rows, WIDTH)) + 0.3 * centres[np.arange(rows) % labels]) * scale
    return x.astype(np.float32)


def make_data() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    centres = random.standard_normal((CLASSES, WIDTH))
    return {
        "train": around_centres(ROUNDS * SAMPLES, CLASSES, centres, random),
        "test": around_centres(TEST, CLASSES, centres, random),
        "clustered": around_centres(CLUSTERED, CLUSTERS, centres, random),
    }


def logistic_regression(data: dict[str, np.ndarray]) -> Result:
    labels, truth = np.arange(SAMPLES) % CLASSES, np.arange(TEST) % CLASSES
    right = iterations = 0
    for r in range(ROUNDS):
        model = LogisticRegression(max_iter=100, random_state=42)
        model.fit(data["train"][r * SAMPLES : (r + 1) * SAMPLES], labels)
        iterations += int(model.n_iter_[0])
        right += int((model.predict(data["test"]) == truth).sum())
    return {"accuracy": right / (ROUNDS * TEST), "iterations": iterations}


def mini_batch_k_means(data: dict[str, np.ndarray]) -> Result:
    model = MiniBatchKMeans(n_clusters=CLUSTERS, batch_size=500, n_init="auto", random_state=42).fit(data["clustered"])
    return {"inertia": float(model.inertia_), "steps": model.n_steps_}


def k_means(data: dict[str, np.ndarray]) -> Result:
    x = data["clustered"]
    model = KMeans(n_clusters=CLUSTERS, init=x[:CLUSTERS], n_init=1, max_iter=300, tol=0, random_state=42).fit(x)
    return {"inertia": float(model.inertia_), "steps": model.n_iter_}


TASKS: dict[str, Callable[[dict[str, np.ndarray]], Result]] = {
    "logistic_regression": logistic_regression,
    "mini_batch_k_means": mini_batch_k_means,
    "k_means": k_means,
}


def theirs(task: str, data: dict[str, np.ndarray], threads: int) -> Result:
    with threadpool_limits(limits=threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = TASKS[task](data)
        seconds = []
        for _ in range(RUNS):
            start = time.perf_counter()
            TASKS[task](data)
            seconds.append(time.perf_counter() - start)
    return result | {"ms": 1e3 * min(seconds)}


def ours(benchmark: Path, task: str, folder: str, threads: int) -> Result:
    command = [str(benchmark), f"--benchmark_filter=^{task}/threads:{threads}/", "--benchmark_format=json"]
    environment = dict(os.environ, EMBEDPOOL_EVALUATION_DATA=folder)
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(output)["benchmarks"][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True, help="the program eval.learning_benchmark")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = make_data()
    runs: dict[tuple[str, int], list[tuple[Result, Result]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, values in data.items():
            values.tofile(Path(folder) / f"{name}.f32")
        for _ in range(arguments.rounds):
            for task in TASKS:
                for threads in arguments.threads:
                    mine = ours(arguments.benchmark, task, folder, threads)
                    time.sleep(0.05)
                    runs.setdefault((task, threads), []).append((mine, theirs(task, data, threads)))
                    time.sleep(0.05)  # scikit-learn's threads fall asleep
    print("| work | threads | scikit-learn, ms | embedpool, ms | embedpool / scikit-learn | found: theirs; ours |")
    print("|---|---|---|---|---|---|")
    for (task, threads), pairs in runs.items():
        mine = statistics.median(pair[0]["real_time"] for pair in pairs)
        peer = statistics.median(pair[1]["ms"] for pair in pairs)
        found = [name for name in pairs[0][1] if name != "ms"]
        cells = ["; ".join(f"{name} {side[name]:.6g}" for name in found) for side in (pairs[0][1], pairs[0][0])]
        print(f"| {task} | {threads} | {peer:.0f} | {mine:.0f} | {mine / peer:.2f} | {cells[0]} / {cells[1]} |")


if __name__ == "__main__":
    main()
