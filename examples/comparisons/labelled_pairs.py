#!/usr/bin/env python3
"""Training data for `embedpool train` from labelled texts: texts of one label belong together, those of others do not.

    python3 examples/comparisons/labelled_pairs.py --output data/labelled.jsonl \\
        data/classification/CLINC150/train.tsv.gz data/clustering/TwentyNewsgroupsSubjects/train.tsv.gz

Each text becomes a query with another text of its label as "positive", texts of other labels as "negatives", and the kind
of its data set (the folder above that of the set) as "task". Texts whose label has one text only are left out. Tables have
the columns `label` and `text` and may be gzip files. The same arguments give the same file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections import defaultdict
from pathlib import Path


def read_table(path: Path) -> dict[str, list[str]]:
    """The texts of each label, each once."""
    texts: defaultdict[str, dict[str, None]] = defaultdict(dict)
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
        if "label" not in header or "text" not in header:
            sys.exit(f"{path}: line 1: names no columns 'label' and 'text'")
        for number, line in enumerate(file, 2):
            fields = line.rstrip("\n").split("\t")
            if len(fields) != len(header):
                sys.exit(f"{path}: line {number}: has {len(fields)} fields, where the header has {len(header)}")
            texts[fields[header.index("label")]][fields[header.index("text")]] = None
    return {label: list(of_label) for label, of_label in texts.items()}


def examples(path: Path, most: int, negatives: int, choose: random.Random) -> list[dict[str, object]]:
    texts = read_table(path)
    if len(texts) < 2:
        sys.exit(f"{path}: has fewer than two labels")
    queries = [(label, text) for label, of_label in texts.items() if len(of_label) > 1 for text in of_label]
    found = []
    for label, text in choose.sample(queries, min(most, len(queries))):
        positive = choose.choice([other for other in texts[label] if other != text])
        others = choose.choices([other for other in texts if other != label], k=negatives)
        found.append({"task": path.resolve().parents[1].name, "query": text, "positive": positive,
                      "negatives": [choose.choice(texts[other]) for other in others]})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--most", type=int, default=4000, help="examples of a table at most (default: 4000)")
    parser.add_argument("--negatives", type=int, default=4, help="of each query (default: 4)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    choose = random.Random(arguments.seed)
    lines = [line for table in arguments.tables for line in examples(table, arguments.most, arguments.negatives, choose)]
    choose.shuffle(lines)
    with open(arguments.output, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
