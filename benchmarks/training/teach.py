"""Adds the embeddings of a teacher to training pairs, for `embedpool train` to learn their similarities.

Reads and writes JSON lines (.gz): every line gets "teacher", a list of the embeddings of its query, its positive and each of
its negatives. The teacher is any model that sentence-transformers opens. Needs sentence-transformers.

    python benchmarks/training/teach.py --teacher all-MiniLM-L6-v2 pairs.jsonl.gz taught.jsonl.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
from typing import Any

from sentence_transformers import SentenceTransformer


def texts_of(example: dict[str, Any]) -> list[str]:
    """Query, positive and negatives, in the order that `embedpool train` expects."""
    negatives: list[str] = []
    for key in ("negative", "negatives"):
        value = example.get(key, [])
        negatives += [value] if isinstance(value, str) else value
    return [example["query"], example["positive"], *negatives]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True, help="a name or folder that sentence-transformers opens")
    parser.add_argument("pairs", help="training pairs: JSON lines, gzip")
    parser.add_argument("taught", help="where the lines go, gzip")
    options = parser.parse_args()

    with gzip.open(options.pairs, "rt", encoding="utf-8") as file:
        examples = [json.loads(line) for line in file]
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
