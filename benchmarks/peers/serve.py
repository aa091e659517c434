"""What every engine written in Python shares: batches, padding, and the answering of requests.

A request is a JSON object on a line of standard input, the answer one on standard output:

    {"texts": [[1, 2, 3], ...], "batch": 8, "sorted": true} -> {"seconds": time of the call, "embeddings": [[...], ...]}

The first line written says how much memory the imports alone take, before the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

TokenIds = list[int]
#: One batch of texts to their embeddings [B, D].
Embed = Callable[[list[TokenIds]], np.ndarray]


def pad_right(texts: list[TokenIds]) -> tuple[np.ndarray, np.ndarray]:
    """Ids [B, T] filled up with 0 on the right, and where each text's last token is [B].

    Under a causal mask no token sees the padding after it, so no mask is needed.
    """
    ids = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return ids, np.array([len(text) - 1 for text in texts], dtype=np.int64)


def embed_in_batches(embed: Embed, texts: list[TokenIds], batch: int, by_length: bool) -> np.ndarray:
    """Embeddings in the order of the texts, whatever the order in which they are computed."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i])) if by_length else list(range(len(texts)))
    rows: np.ndarray | None = None
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        part = embed([texts[i] for i in chosen])
        if rows is None:
            rows = np.empty((len(texts), part.shape[1]), dtype=np.float32)
        rows[chosen] = part
    assert rows is not None
    return rows


def resident_megabytes() -> float:
    """Memory of this process that is in RAM now, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


def engine_arguments() -> argparse.Namespace:
    """--prepared DIRECTORY (of prepare.py), --threads N, --format NAME and --waiting passive|own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--format", default="f32")
    parser.add_argument("--waiting", choices=["passive", "own"], required=True)
    return parser.parse_args()


def serve(load: Callable[[argparse.Namespace], Embed]) -> None:
    """Loads the engine and answers requests until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not look like an answer
    imports = resident_megabytes()
    embed = load(engine_arguments())
    print(json.dumps({"imports_megabytes": imports}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        rows = embed_in_batches(embed, request["texts"], request["batch"], request["sorted"])
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "embeddings": rows.tolist()}), file=answers, flush=True)
