"""How engines are measured: batch sizes chosen, embeddings checked, then visits in turn."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import numpy as np

from process import Engine
from workloads import Workload

TUNING_TOKENS = 3000  # of a workload, on which batch sizes are tried


@dataclass(frozen=True)
class Case:
    """A workload, its texts sorted by length or as they come."""

    workload: Workload
    by_length: bool = False

    @property
    def key(self) -> str:
        return self.workload.name + (" sorted" if self.by_length else "")


@dataclass
class Measured:
    """One engine on one case. Seconds are those of single calls over all texts of the workload."""

    batch: int
    cosine: float  # least of all texts, to the reference
    seconds: list[float] = field(default_factory=list)

    @property
    def median_seconds(self) -> float:
        return float(np.median(self.seconds))


def cases_of(workloads: list[Workload]) -> list[Case]:
    return [
        Case(workload, by_length)
        for workload in workloads
        for by_length in ([True, False] if workload.ragged else [False])
    ]


def applies(engine: Engine, case: Case) -> bool:
    return not (case.by_length and engine.spec.packs)


def references(engine: Engine, workloads: list[Workload]) -> dict[str, np.ndarray]:
    """Embeddings of each workload by the reference engine, one text at a time, so without any padding."""
    with engine.awake():
        return {workload.name: engine.embed(workload.texts, 1, False)[1] for workload in workloads}


def least_cosine(rows: np.ndarray, reference: np.ndarray) -> float:
    """The least cosine of a row and its reference, in double precision."""
    x, y = rows.astype(np.float64), reference.astype(np.float64)
    return float((np.sum(x * y, axis=1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))).min())


def choose_batch(engine: Engine, case: Case, candidates: list[int]) -> int:
    """The batch size with which an engine embeds part of the workload fastest; embedpool chooses by itself."""
    texts = case.workload.sample(TUNING_TOKENS)
    sizes = sorted({min(size, len(texts)) for size in candidates})
    if engine.spec.ours or len(sizes) == 1:
        return max(sizes)
    with engine.awake():
        return min(sizes, key=lambda size: min(engine.embed(texts, size, case.by_length)[0] for _ in range(2)))


def prepare(
    engine: Engine, cases: list[Case], candidates: list[int], reference: dict[str, np.ndarray]
) -> dict[str, Measured]:
    """Batch size and agreement of an engine on every case that applies to it; its buffers are warm afterwards."""
    own_cases = [case for case in cases if applies(engine, case)]
    batches = {case.key: choose_batch(engine, case, candidates) for case in own_cases}
    engine.restart()  # what batches that were not chosen needed is not its peak memory
    measured: dict[str, Measured] = {}
    for case in own_cases:
        batch = batches[case.key]
        with engine.awake():
            _, rows = engine.embed(case.workload.texts, batch, case.by_length)
        measured[case.key] = Measured(batch, least_cosine(rows, reference[case.workload.name]))
    return measured


def visit(engine: Engine, case: Case, result: Measured) -> None:
    """One warm call on a single text, then the workload."""
    texts = case.workload.texts
    with engine.awake():
        engine.embed([min(texts, key=len)], 1, False)
        for _ in range(case.workload.calls):
            result.seconds.append(engine.embed(texts, result.batch, case.by_length)[0])


def run_rounds(
    engines: list[Engine], cases: list[Case], results: dict[str, dict[str, Measured]], rounds: int
) -> list[float]:
    """In each round every engine runs every case once; another engine begins each time.

    Returns the multiply-add peaks (operations a second) that were measured before each case.
    """
    ours = next(engine for engine in engines if engine.spec.ours)
    peaks: list[float] = []
    for number in range(rounds):
        start = time.perf_counter()
        for case in cases:
            with ours.awake():
                peaks.append(ours.ask({"op": "peak"})["flops"])
            first = number % len(engines)
            for engine in engines[first:] + engines[:first]:
                if applies(engine, case):
                    visit(engine, case, results[engine.spec.name][case.key])
        print(f"round {number + 1} of {rounds}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return peaks
