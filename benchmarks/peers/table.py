"""The results as one Markdown table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from measure import Case, Measured
from operations import forward_operations
from process import EngineSpec

AGREEMENT = 0.9999  # least cosine to the reference with which a float32 engine counts as computing the same


@dataclass(frozen=True)
class EngineResult:
    """What is known of an engine at the end; memory in MB, start in seconds."""

    spec: EngineSpec
    cases: dict[str, Measured]
    start_seconds: float
    peak_megabytes: float
    imports_megabytes: float

    def on(self, case: Case) -> Measured:
        """An engine that packs has one result for both orders."""
        return self.cases.get(case.key) or self.cases[case.workload.name]

    @property
    def cosine(self) -> float:
        return min(measured.cosine for measured in self.cases.values())

    @property
    def comparable(self) -> bool:
        return self.spec.exact and self.cosine >= AGREEMENT


def table(engines: list[EngineResult], cases: list[Case], config: dict[str, Any], peak: float) -> str:
    """A row an engine, a column a case, then the ratios of each engine of ours."""
    names = ["engine", *(_heading(case) for case in cases), "peak memory, MB (imports)", "start, s", "least cosine"]
    rows = [
        [
            _label(engine),
            *(_cell(engine, case, config, peak) for case in cases),
            f"{engine.peak_megabytes:.0f}" + (f" ({engine.imports_megabytes:.0f})" if engine.imports_megabytes else ""),
            f"{engine.start_seconds:.1f}",
            f"{engine.cosine:.6f}",
        ]
        for engine in engines
    ]
    # A float32 engine that disagrees computes something else: it is faster or slower than nothing.
    peers = [engine for engine in engines if not engine.spec.ours and (engine.comparable or not engine.spec.exact)]
    llama = [engine for engine in peers if engine.spec.program == "llama_cpp"]
    for ours in (engine for engine in engines if engine.spec.ours):
        for title, others in (
            ("fastest float32 peer that agrees", [engine for engine in peers if engine.comparable]),
            ("fastest peer of any kind", peers),
            ("llama.cpp's fastest format", llama),
            ("llama.cpp on the same file", [engine for engine in llama if engine.spec.format.startswith("shipped")]),
        ):
            if others:
                rows.append(
                    [
                        f"**{_name(ours)} / {title}**",
                        *(_ratio(ours, others, case) for case in cases),
                        _memory_ratio(ours, others),
                        "",
                        "",
                    ]
                )
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def agreement_problems(engines: list[EngineResult]) -> list[str]:
    """Float32 engines whose embeddings are not those of the reference."""
    return [
        f"{engine.spec.name}: least cosine {engine.cosine:.6f} to the reference, below {AGREEMENT}"
        for engine in engines
        if engine.spec.exact and not engine.comparable
    ]


def _heading(case: Case) -> str:
    order = ", sorted" if case.by_length else ", as they come" if case.workload.ragged else ""
    return f"({case.workload.name}) {case.workload.title}{order}"


def _name(engine: EngineResult) -> str:
    program = engine.spec.program.replace("_", ".")
    return f"{program} {engine.spec.format}"


def _label(engine: EngineResult) -> str:
    return f"**{_name(engine)}**" if engine.spec.ours else _name(engine)


def _cell(engine: EngineResult, case: Case, config: dict[str, Any], peak: float) -> str:
    """Tokens a second (milliseconds where one short text is embedded), the share of the peak, the batch size."""
    measured = engine.on(case)
    operations = forward_operations(config, case.workload.texts, last_rows_only=engine.spec.ours)
    share = 100 * operations / measured.median_seconds / peak
    if case.workload.calls > 1:
        return f"{1e3 * measured.median_seconds:.1f} ms ({share:.0f} %)"
    batch = f", by {measured.batch}" if case.workload.ragged and not engine.spec.ours else ""
    return f"{case.workload.tokens / measured.median_seconds:.0f} ({share:.0f} %{batch})"


def _ratio(ours: EngineResult, others: list[EngineResult], case: Case) -> str:
    best = min(others, key=lambda engine: engine.on(case).median_seconds)
    ratio = best.on(case).median_seconds / ours.on(case).median_seconds
    return f"**{ratio:.2f}**" + (f" {_name(best)}" if len(others) > 1 else "")


def _memory_ratio(ours: EngineResult, others: list[EngineResult]) -> str:
    least = min(others, key=lambda engine: engine.peak_megabytes)
    return f"**{ours.peak_megabytes / least.peak_megabytes:.2f}**" + (f" {_name(least)}" if len(others) > 1 else "")
