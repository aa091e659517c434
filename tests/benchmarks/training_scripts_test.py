"""The scripts of benchmarks/training, with stand-ins for the package and the program that they call."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "training"

# A text's embedding is its length and a number of many digits.
TEACHER = """
class SentenceTransformer:
    def __init__(self, name, device):
        assert name == "some-teacher"
    def encode(self, texts, batch_size, show_progress_bar):
        assert len(set(texts)) == len(texts), "a text is embedded twice"
        return [[len(text), 1 / 3] for text in texts]
"""

PACKAGES = """#!/bin/sh
cat <<'END'
Package: one
Section: databases
Description: fast database server (version 2) - with a dash

Package: two
Section: databases
Description: column store for numbers [experimental]

Package: three
Section: databases
Description: transitional package of another name

Package: four
Section: editors
Description: small text editor

Package: five
Section: databases
Description: two words
END
"""


def lines_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class ScriptTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def run_script(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(SCRIPTS / name), *arguments], cwd=self.folder, capture_output=True,
                              text=True, env={**os.environ, **environment})


class Teach(ScriptTest):
    def teach(self, *inputs: str) -> list[dict[str, Any]]:
        (self.folder / "sentence_transformers.py").write_text(TEACHER)
        result = self.run_script("teach.py", "--teacher", "some-teacher", *inputs, "taught.jsonl.gz",
                                 PYTHONPATH=str(self.folder))
        self.assertEqual(result.returncode, 0, result.stderr)
        return lines_of(self.folder / "taught.jsonl.gz")

    def test_every_text_of_a_pair_has_an_embedding_in_the_order_of_training(self) -> None:
        pair = {"query": "a", "positive": "bb", "negative": "ccc", "negatives": ["dddd", "a"], "task": "letters"}
        with gzip.open(self.folder / "pairs.jsonl.gz", "wt") as file:
            file.write(json.dumps(pair) + "\n\n")
        (line,) = self.teach("pairs.jsonl.gz")
        self.assertEqual(line.pop("teacher"), [[n, 0.3333] for n in (1, 2, 3, 4, 1)])
        self.assertEqual(line, pair)

    def test_texts_are_taken_two_at_a_time_under_the_name_of_their_file(self) -> None:
        (self.folder / "plain.txt").write_text("one\n\nthree\nleft over\n")
        (self.folder / "texts.jsonl").write_text('{"text": "é"}\n{"query": "q", "positive": "p"}\n{"text": "second"}\n')
        lines = self.teach("plain.txt", "texts.jsonl")
        self.assertEqual([(line.get("task"), line["query"], line["positive"]) for line in lines],
                         [("plain", "one", "three"), (None, "q", "p"), ("texts", "é", "second")])


class Descriptions(ScriptTest):
    def test_pairs_are_of_one_section_and_say_what_a_program_does(self) -> None:
        command = self.folder / "apt-cache"
        command.write_text(PACKAGES)
        command.chmod(0o755)
        result = self.run_script("descriptions.py", "out.jsonl.gz", PATH=f"{self.folder}:{os.environ['PATH']}")
        self.assertEqual((result.returncode, result.stdout), (0, "1 of 1 pairs\n"), result.stderr)
        (line,) = lines_of(self.folder / "out.jsonl.gz")
        self.assertEqual(line["task"], "descriptions")
        self.assertEqual({line["query"], line["positive"]}, {"fast database server", "column store for numbers"})

    def test_a_system_without_packages_is_told_so(self) -> None:
        result = self.run_script("descriptions.py", "out.jsonl.gz", PATH=str(self.folder))
        self.assertEqual(result.returncode, 2)
        self.assertIn("there is no apt-cache", result.stderr)
        self.assertFalse((self.folder / "out.jsonl.gz").exists())


if __name__ == "__main__":
    unittest.main()
