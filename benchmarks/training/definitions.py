"""Writes what words mean, in pairs, as training text for a teacher's similarities.

From WordNet: a word's definition with a sentence that uses the word, or with the definition of what it is a kind of. From
FOLDOC, where it is installed: the first two sentences about a term of computing. How alike they are only a teacher can tell:
run teach.py on the result before `embedpool train` reads it. Definitions name things of every field, where questions,
captions and abstracts repeat a few. Reads files of Debian's packages wordnet-base and dict-foldoc, which have free licences.

    python benchmarks/training/definitions.py --pairs 12000 definitions.jsonl.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from pathlib import Path

Pair = tuple[str, str]


def wordnet_pairs(folder: Path) -> list[Pair]:
    """Of the synsets whose definition has four words or more; format: wndb(5)."""
    texts: dict[tuple[str, str], str] = {}
    rest: list[tuple[str, list[str], tuple[str, str] | None]] = []
    for name in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{name}").read_text(encoding="latin-1").splitlines():
            if line.startswith(" "):  # the licence
                continue
            fields, gloss = line.split(" | ", 1)
            offset, _, kind, _, word = fields.split()[:5]
            examples = re.findall(r'"([^"]+)"', gloss)
            definition = re.split(r';\s*"|\s*"', gloss)[0].strip()
            if len(definition.split()) < 4:
                continue
            text = f"{re.sub(r'[(].*', '', word).replace('_', ' ')}: {definition}"
            texts[kind.replace("s", "a"), offset] = text
            above = re.search(r" @ (\d{8}) ([nv]) ", fields)
            rest.append((text, [e for e in examples if len(e.split()) >= 3], (above[2], above[1]) if above else None))
    pairs = []
    for text, examples, above in rest:
        if examples:
            pairs.append((text, examples[0]))
        elif above in texts:
            pairs.append((text, texts[above]))
    return pairs


def foldoc_pairs(dictionary: Path) -> list[Pair]:
    """The first two sentences of each entry; entries begin at the left margin, their text is indented."""
    pairs = []
    for entry in re.split(r"\n(?=\S)", gzip.decompress(dictionary.read_bytes()).decode("utf-8", "replace")):
        body = re.sub(r"<[^>]*>|\([^)]*\)|[{}]", "", " ".join(entry.splitlines()[1:]))
        sentences = [" ".join(s.split()) for s in re.split(r"(?<=[a-z\d]{2}\.)\s+(?=[A-Z])", body)]
        sentences = [s for s in sentences if 5 <= len(s.split()) <= 60 and "http" not in s]
        if len(sentences) >= 2:
            pairs.append((sentences[0], sentences[1]))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=12000, help="so many at most, a third of them of FOLDOC")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="folder with data.noun ...")
    parser.add_argument("--foldoc", type=Path, default=Path("/usr/share/dictd/foldoc.dict.dz"))
    parser.add_argument("output", help="JSON lines, gzip")
    options = parser.parse_args()

    if not (options.wordnet / "data.noun").exists():
        parser.error(f"there is no {options.wordnet}/data.noun: install wordnet-base, or name its folder (--wordnet)")
    draw = random.Random(options.seed)
    terms = foldoc_pairs(options.foldoc) if options.foldoc.exists() else []
    words = wordnet_pairs(options.wordnet)
    draw.shuffle(terms)
    draw.shuffle(words)
    terms = terms[: options.pairs // 3]
    pairs = terms + words[: options.pairs - len(terms)]
    draw.shuffle(pairs)
    with gzip.open(options.output, "wt", encoding="utf-8") as file:
        for query, positive in pairs:
            line = {"task": "definitions", "query": query, "positive": positive}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{len(pairs)} pairs, {len(terms)} of them of FOLDOC")


if __name__ == "__main__":
    main()
