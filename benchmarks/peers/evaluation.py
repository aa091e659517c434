"""What evaluation does beside embedding: scikit-learn and embedpool in turn, and the machine's own peak.

Search: the 10 and the 1,000 nearest of 100,000 vectors of 576 values for 1,000 queries, random vectors on both sides,
beside the share of the float32 multiply-add peak that the same process measures. Logistic regression: 10 rounds of 8 samples
of each of 77 classes, 576 values, and 3,080 test texts (the size of Banking77 in MTEB). Clustering: 20,000 vectors of 20
classes by mini-batch k-means as in MTEB (batches of 500, one start by k-means++), and by k-means from the same centres
until no row changes its cluster; the same data on both sides. float32 everywhere.

Of each round the fastest of three runs after a warm one counts, and of the rounds the median. What was found is printed
beside the time, for equal work: accuracy of the classification; inertia and steps of the clusterings.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

WIDTH, CLASSES, SAMPLES, ROUNDS, TEST = 576, 77, 77 * 8, 10, 3080
CLUSTERED, CLUSTERS, RUNS = 20_000, 20, 3
CORPUS, QUERIES = 100_000, 1_000
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
        "corpus": random.random((CORPUS, WIDTH), dtype=np.float32) - np.float32(0.5),
        "queries": random.random((QUERIES, WIDTH), dtype=np.float32) - np.float32(0.5),
    }


def search(data: dict[str, np.ndarray], k: int) -> Result:
    NearestNeighbors(n_neighbors=k, algorithm="brute").fit(data["corpus"]).kneighbors(data["queries"])
    return {}


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


# Of each work: our program, the name of the benchmark in it, and what scikit-learn does.
TASKS: dict[str, tuple[str, str, Callable[[dict[str, np.ndarray]], Result]]] = {
    "search, k = 10": ("eval.nearest_neighbours_benchmark", f"search/k:10/queries:{QUERIES}", lambda data: search(data, 10)),
    "search, k = 1000": ("eval.nearest_neighbours_benchmark", f"search/k:1000/queries:{QUERIES}", lambda data: search(data, 1000)),
    "logistic regression": ("eval.learning_benchmark", "logistic_regression", logistic_regression),
    "mini-batch k-means": ("eval.learning_benchmark", "mini_batch_k_means", mini_batch_k_means),
    "k-means": ("eval.learning_benchmark", "k_means", k_means),
}


def theirs(task: str, data: dict[str, np.ndarray], threads: int) -> Result:
    work = TASKS[task][2]
    with threadpool_limits(limits=threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = work(data)
        seconds = []
        for _ in range(RUNS):
            start = time.perf_counter()
            work(data)
            seconds.append(time.perf_counter() - start)
    return result | {"ms": 1e3 * min(seconds)}


def ours(benchmarks: Path, task: str, folder: str, threads: int) -> Result:
    program, name, _ = TASKS[task]
    command = [str(benchmarks / program), f"--benchmark_filter=^{name}/threads:{threads}/", "--benchmark_format=json"]
    environment = dict(os.environ, EMBEDPOOL_EVALUATION_DATA=folder)
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    result: Result = json.loads(output)["benchmarks"][0]
    ms = result["fastest_ms"] if "fastest_ms" in result else 1e3 * QUERIES / result["queries/s"]
    return result | {"ms": ms}


def row(task: str, threads: int, pairs: list[tuple[Result, Result]]) -> str:
    mine, peer = (statistics.median(pair[side]["ms"] for pair in pairs) for side in (0, 1))
    ratios = [pair[0]["ms"] / pair[1]["ms"] for pair in pairs]
    first, second = pairs[0][1], pairs[0][0]
    names = [name for name in first if name != "ms"]
    found = " / ".join("; ".join(f"{name} {side[name]:.6g}" for name in names) for side in (first, second)) if names else ""
    shares = [pair[0]["share_of_f32_peak_%"] for pair in pairs if "share_of_f32_peak_%" in pair[0]]
    share = f"{statistics.median(shares):.0f} %" if shares else ""
    return (f"| {task} | {threads} | {peer:.0f} | {mine:.0f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {share} | {found} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder with our two benchmark programs")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = make_data()
    runs: dict[tuple[str, int], list[tuple[Result, Result]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("train", "test", "clustered"):
            data[name].tofile(Path(folder) / f"{name}.f32")
        for turn in range(arguments.rounds):
            for task in TASKS:
                for threads in arguments.threads:
                    mine = ours(arguments.benchmarks, task, folder, threads)
                    time.sleep(0.05)
                    peer = theirs(task, data, threads)
                    runs.setdefault((task, threads), []).append((mine, peer))
                    print(f"round {turn + 1} of {arguments.rounds}: {task}, {threads} threads: scikit-learn {peer['ms']:.0f} ms, "
                          f"embedpool {mine['ms']:.0f} ms", file=sys.stderr, flush=True)
                    time.sleep(0.05)  # scikit-learn's threads fall asleep
    print("| work | threads | scikit-learn, ms | embedpool, ms | embedpool / scikit-learn, median (range) | of the f32 peak "
          "| found: theirs / ours |")
    print("|---|---|---|---|---|---|---|")
    for (task, threads), pairs in runs.items():
        print(row(task, threads, pairs))


if __name__ == "__main__":
    main()
