"""Writes what Debian's packages say they are, in pairs of one section, as training text for a teacher's similarities.

Two descriptions of a section, such as two of `databases`, are alike to a degree that only a teacher can tell: run teach.py on
the result before `embedpool train` reads it. The names of programs, languages and formats are a vocabulary that questions,
captions and abstracts lack. Reads `apt-cache dumpavail`; the descriptions have their packages' free licences.

    python benchmarks/training/descriptions.py --pairs 8000 descriptions.jsonl.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import shutil
import subprocess

# Packages whose description says what kind of package they are, not what the program does.
_OF_A_KIND = re.compile(r"transitional|dummy|debug|meta-?package|documentation|development|common files|localization", re.I)


def descriptions() -> dict[str, list[str]]:
    """Section -> different descriptions in it, without what stands in brackets or behind a dash; sorted."""
    records = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True).stdout.split("\n\n")
    sections: dict[str, set[str]] = {}
    for record in records:
        fields = dict(re.findall(r"^(Section|Description): (.+)$", record, re.M))
        text = re.sub(r"\s*(\([^)]*\)?|\[[^]]*\]?| - .*)", "", fields.get("Description", "")).strip()
        if len(text.split()) >= 3 and not _OF_A_KIND.search(text):
            sections.setdefault(fields.get("Section", ""), set()).add(text)
    return {name: sorted(texts) for name, texts in sorted(sections.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8000, help="so many pairs at most, drawn from all sections")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("output", help="JSON lines, gzip")
    options = parser.parse_args()

    if shutil.which("apt-cache") is None:
        parser.error("there is no apt-cache: this needs Debian or a system made of it")
    draw = random.Random(options.seed)
    pairs: list[tuple[str, str]] = []
    for texts in descriptions().values():
        draw.shuffle(texts)
        pairs += zip(texts[::2], texts[1::2])
    if not pairs:
        parser.error("apt-cache knows no packages: run apt-get update first")
    draw.shuffle(pairs)
    with gzip.open(options.output, "wt", encoding="utf-8") as file:
        for query, positive in pairs[: options.pairs]:
            line = {"task": "descriptions", "query": query, "positive": positive}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{min(options.pairs, len(pairs))} of {len(pairs)} pairs")


if __name__ == "__main__":
    main()
