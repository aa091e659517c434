"""Adds the embeddings of a teacher to training data, for `embedpool train` to learn their similarities.

Reads pairs or texts, and writes JSON lines (.gz): every line has "teacher", a list of the embeddings of its query, its
positive and each of its negatives. Pairs are JSON lines with "query" and "positive" (files called .jsonl). Texts are lines of
any other file, or JSON lines with "text": two that follow each other make one line of the result, for a teacher needs no
texts that belong together. Inputs may be gzip. The teacher is any model that sentence-transformers opens, which this needs.

    python benchmarks/training/teach.py --teacher all-MiniLM-L6-v2 pairs.jsonl.gz texts.txt taught.jsonl.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer


def texts_of(example: dict[str, Any]) -> list[str]:
    """Query, positive and negatives, in the order that `embedpool train` expects."""
    negatives: list[str] = []
    for key in ("negative", "negatives"):
        value = example.get(key, [])
        negatives += [value] if isinstance(value, str) else value
    return [example["query"], example["positive"], *negatives]


def read_examples(path: Path) -> list[dict[str, Any]]:
    """The pairs of a file, and its texts two at a time, as a task that is called like the file."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip()]
    name = path.name.removesuffix(".gz")
    task, ending = name.rpartition(".")[::2]
    if ending != "jsonl":
        examples, texts = [], lines
    else:
        records = [json.loads(line) for line in lines]
        examples = [record for record in records if "text" not in record]
        texts = [record["text"] for record in records if "text" in record]
    return examples + [{"task": task or name, "query": a, "positive": b} for a, b in zip(texts[::2], texts[1::2])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="a name or folder that sentence-transformers opens")
    parser.add_argument("inputs", nargs="+", type=Path, help="pairs or texts")
    parser.add_argument("taught", help="where the lines go, gzip")
    options = parser.parse_args()

    examples = [example for path in options.inputs for example in read_examples(path)]
    rows: dict[str, int] = {}
    for example in examples:
        for text in texts_of(example):
            rows.setdefault(text, len(rows))
    teacher = SentenceTransformer(options.teacher, device="cpu")
    # Few texts at a time: on two cores all-mpnet-base-v2 reads twice as many tokens a second by 16 as by 64.
    embeddings = teacher.encode(list(rows), batch_size=16, show_progress_bar=True)
    with gzip.open(options.taught, "wt", encoding="utf-8", compresslevel=3) as file:
        for example in examples:
            # Four digits are more than a float of bf16 has, and keep the file small.
            example["teacher"] = [[round(float(x), 4) for x in embeddings[rows[text]]] for text in texts_of(example)]
            file.write(json.dumps(example, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
