"""Scores of a reading or a trained folder on subsets of data sets, for the tables of docs/training.md.

The subsets are lists of rows (subsets.json beside this file): small enough that a score costs a minute, and the same for
everybody. All texts go through `embedpool embed` once. Spearman x 100 of cosines; nDCG@10 and mean average precision x 100 of
cosines; accuracy of scikit-learn's logistic regression (C 1) and V-measure of its mini-batch k-means (seeds 42, 43, 44), on
vectors of length 1. Needs numpy, scipy and scikit-learn. What `embedpool evaluate` computes is MTEB's protocol on whole sets.

    python benchmarks/training/subsets.py --program build/native/examples/embedpool --data DIR \\
        -- --model model.gguf --trained trained --max-tokens 110
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable

import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import v_measure_score

Score = Callable[[np.ndarray], float]
FRESH = 300  # pairs, and about as many texts to classify or cluster, of each set outside the list


class Texts:
    """The distinct texts of all tasks, each with its row."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.rows: dict[str, int] = {}

    def row(self, text: str) -> int:
        if text not in self.rows:
            self.rows[text] = len(self.all)
            self.all.append(text)
        return self.rows[text]


def table(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines][1:]


def objects(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sts(rows: list[list[str]], texts: Texts) -> Score:
    gold = [float(row[0]) for row in rows]
    first = [texts.row(row[1]) for row in rows]
    second = [texts.row(row[2]) for row in rows]
    return lambda e: 100 * spearmanr(gold, (e[first] * e[second]).sum(1))[0]


def ranked(documents: list[int], queries: list[tuple[int, list[int]]], depth: int | None, mean_precision: bool) -> Score:
    """Queries with the positions of their answers among the documents; all answers count the same."""

    def score(e: np.ndarray) -> float:
        values = []
        for query, answers in queries:
            order = np.argsort(-(e[documents] @ e[query]), kind="stable")[:depth]
            hits = np.isin(order, answers)
            if mean_precision:
                values.append(float((hits * np.cumsum(hits) / (1 + np.arange(len(hits)))).sum()) / len(answers))
            else:
                discount = 1 / np.log2(2 + np.arange(len(hits)))
                values.append(float((hits * discount).sum() / discount[: len(answers)].sum()))
        return 100 * float(np.mean(values))

    return score


def reranked(lists: list[dict[str, Any]], texts: Texts) -> Score:
    scores = []
    for entry in lists:
        candidates = [texts.row(text) for text in entry["positive"] + entry["negative"]]
        answers = list(range(len(entry["positive"])))
        scores.append(ranked(candidates, [(texts.row(entry["query"]), answers)], None, mean_precision=True))
    return lambda e: float(np.mean([score(e) for score in scores]))


def classified(rounds: list[list[list[str]]], test: list[list[str]], texts: Texts) -> Score:
    samples = [([texts.row(row[1]) for row in rows], [row[0] for row in rows]) for rows in rounds]
    test_rows, labels = [texts.row(row[1]) for row in test], [row[0] for row in test]
    fitted = lambda e, x, y: LogisticRegression(C=1, max_iter=100).fit(e[x], y).score(e[test_rows], labels)
    return lambda e: 100 * float(np.mean([fitted(e, x, y) for x, y in samples]))


def clustered(rows: list[list[str]], texts: Texts) -> Score:
    labels, places = [row[0] for row in rows], [texts.row(row[1]) for row in rows]
    count = len(set(labels))

    def score(e: np.ndarray) -> float:
        clusters = [
            MiniBatchKMeans(count, batch_size=500, n_init="auto", random_state=seed).fit_predict(e[places])
            for seed in (42, 43, 44)
        ]
        return 100 * float(np.mean([v_measure_score(labels, found) for found in clusters]))

    return score


def listed_tasks(data: Path, subsets: dict[str, Any], texts: Texts) -> dict[str, Score]:
    def rows(entry: dict[str, Any]) -> list[list[str]]:
        lines = table(data / entry["file"])
        return [lines[i] for i in entry["rows"]]

    tasks = {name: sts(rows(subsets[name]), texts) for name in ("stsb", "sts13", "biosses")}
    entry = subsets["xquad"]
    corpus, queries = objects(data / entry["corpus"]), objects(data / entry["queries_file"])
    judged = {row[0]: row[1] for row in table((data / entry["corpus"]).parent / "qrels-test.tsv.gz")}
    documents = [corpus[i] for i in entry["documents"]]
    position = {document["_id"]: [i] for i, document in enumerate(documents)}
    asked = [(texts.row(queries[i]["text"]), position[judged[queries[i]["_id"]]]) for i in entry["queries"]]
    tasks["xquad"] = ranked([texts.row(document["text"]) for document in documents], asked, 10, mean_precision=False)
    entry = subsets["trec6"]
    train, test = table(data / entry["train_file"]), table(data / entry["test_file"])
    rounds = [[train[i] for i in chosen] for chosen in entry["train_rounds"]]
    tasks["trec6"] = classified(rounds, [test[i] for i in entry["test_rows"]], texts)
    tasks["stackoverflow"] = clustered(rows(subsets["sofl"]), texts)
    return tasks


def fresh_tasks(data: Path, texts: Texts) -> dict[str, Score]:
    """Sets that no recipe was chosen by: rows drawn with a fixed seed."""
    random = np.random.RandomState(0)
    drawn = lambda lines, count: [lines[i] for i in random.permutation(len(lines))[:count]]
    tasks = {name.lower(): sts(drawn(table(data / f"sts/{name}/test.tsv.gz"), FRESH), texts) for name in ("STS12", "STS14")}
    tasks["selqa"] = reranked(drawn(objects(data / "reranking/SelQA/dev.jsonl.gz"), 80), texts)
    for name, samples in (("Banking77", 4), ("SUBJ", 16)):
        train, test = (table(data / f"classification/{name}/{part}.tsv.gz") for part in ("train", "test"))
        test = drawn(test, 250)
        by_label: dict[str, list[list[str]]] = defaultdict(list)
        for i in random.permutation(len(train)):
            by_label[train[i][0]].append(train[i])
        tasks[name.lower()] = classified([[row for rows in by_label.values() for row in rows[:samples]]], test, texts)
    tasks["20newsgroups"] = clustered(drawn(table(data / "clustering/TwentyNewsgroupsSubjects/test.tsv.gz"), 400), texts)
    return tasks


def embeddings(program: Path, arguments: list[str], texts: list[str]) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        lines, vectors = Path(folder) / "texts.txt", Path(folder) / "vectors.npy"
        lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
        command = [program, "embed", "--input", lines, "--input-format", "lines", "--output", vectors, *arguments]
        subprocess.run([str(part) for part in command], check=True)
        return np.load(vectors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True, help="the program embedpool")
    parser.add_argument("--data", type=Path, required=True, help="folder with sts/, retrieval/, classification/ ...")
    parser.add_argument("--subsets", type=Path, default=Path(__file__).with_name("subsets.json"), help="rows of the listed subsets")
    parser.add_argument("embed", nargs="*", help="behind --: what `embedpool embed` is told")
    arguments = parser.parse_args()
    texts = Texts()
    groups = {"fresh": fresh_tasks(arguments.data, texts),
              "listed": listed_tasks(arguments.data, json.loads(arguments.subsets.read_text()), texts)}
    vectors = embeddings(arguments.program, arguments.embed, texts.all)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    for name, tasks in groups.items():
        scores = {task: score(vectors) for task, score in tasks.items()}
        print(name, *(f"{task} {score:.1f}" for task, score in scores.items()), f"mean {np.mean(list(scores.values())):.2f}")


if __name__ == "__main__":
    main()
