"""embedpool and the engines that people would use instead, on the same token ids, in turn. See --help and README.md."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import measure
from process import Engine, EngineSpec, Settings
from table import EngineResult, agreement_problems, table
from workloads import make_workloads, read_texts

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [ROOT / "examples/data" / name for name in ("sts-images.tsv", "calibration.txt", "requests.txt")]
REFERENCE = "transformers"
ENGINES = (
    "embedpool:f32 transformers torch onnxruntime openvino llama_cpp:f32 llama_cpp:f16 llama_cpp:q8_0 "
    "llama_cpp:shipped llama_cpp:shipped+api llama_cpp:q4_0"
).split()
MORE_ENGINES = "default: %(default)s; also embedpool:bf16, embedpool:int8, torch:compiled"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", type=Path, required=True, help="the program embedpool_server")
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--prepared", type=Path, required=True, help="what prepare.py wrote from it")
    parser.add_argument("--output", type=Path, required=True, help="writes OUTPUT.md and OUTPUT.json")
    parser.add_argument(
        "--texts", type=Path, nargs="+", default=TEXTS, help="files of texts: lines, or a .tsv with sentence1"
    )
    parser.add_argument("--engines", nargs="+", default=ENGINES, help=MORE_ENGINES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", default="abcde", help="letters of the workloads to run (default: all)")
    parser.add_argument("--documents", type=int, default=64, help="how many of them in workload d")
    parser.add_argument(
        "--batches",
        type=int,
        nargs="+",
        default=[1, 4, 8, 16, 32],
        help="sizes from which each peer's fastest is chosen; one size: no choosing",
    )
    parser.add_argument("--batch-tokens", type=int, default=2048, help="of embedpool's batches")
    parser.add_argument(
        "--waiting",
        choices=["passive", "own"],
        default="passive",
        help="threads that wait inside a call: asleep, or as each engine does by itself",
    )
    return parser.parse_args()


def tokenize_with(engine: Engine, texts: list[str]) -> list[list[int]]:
    with engine.awake():
        return engine.ask({"op": "tokenize", "texts": texts})["ids"]


def start_engines(arguments: argparse.Namespace) -> list[Engine]:
    """All of them, one after the other; embedpool first, the reference always."""
    settings = Settings(
        arguments.server.resolve(),
        arguments.model,
        arguments.prepared,
        arguments.threads,
        arguments.batch_tokens,
        arguments.waiting,
    )
    names = list(dict.fromkeys([*arguments.engines, REFERENCE]))
    specs = sorted((EngineSpec(name) for name in names), key=lambda spec: not spec.ours)
    if not specs[0].ours:
        raise SystemExit("--engines: embedpool must be among them, it tokenizes and measures the peak")
    engines: list[Engine] = []
    try:
        for spec in specs:
            print(f"starting {spec.name}", file=sys.stderr, flush=True)
            engines.append(Engine(spec, settings))
    except BaseException:
        close(engines)
        raise
    return engines


def close(engines: list[Engine]) -> None:
    for engine in engines:
        engine.close()


def compare(arguments: argparse.Namespace, engines: list[Engine]) -> str:
    """Measures, writes the JSON file and returns the report."""
    texts = read_texts(arguments.texts)
    workloads = make_workloads(texts, lambda some: tokenize_with(engines[0], some), arguments.documents)
    workloads = [workload for workload in workloads if workload.name in arguments.workloads]
    cases = measure.cases_of(workloads)
    reference = measure.references(next(engine for engine in engines if engine.spec.name == REFERENCE), workloads)
    results: dict[str, dict[str, measure.Measured]] = {}
    for engine in engines:
        results[engine.spec.name] = measure.prepare(engine, cases, arguments.batches, reference)
        agreement = ", ".join(
            f"{key} {one.cosine:.6f} by {one.batch}" for key, one in results[engine.spec.name].items()
        )
        print(f"{engine.spec.name}: {agreement}", file=sys.stderr, flush=True)
    peaks = measure.run_rounds(engines, cases, results, arguments.rounds)

    rows = [
        EngineResult(
            engine.spec,
            results[engine.spec.name],
            engine.start_seconds,
            engine.peak_megabytes(),
            engine.imports_megabytes,
        )
        for engine in engines
    ]
    problems = "".join(f"\nDISAGREES {problem}\n" for problem in agreement_problems(rows))
    report = (
        describe(arguments, peaks) + table(rows, cases, read_config(arguments.prepared), max(peaks)) + "\n" + problems
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".md").write_text(report, encoding="utf-8")
    raw = {
        "threads": arguments.threads,
        "waiting": arguments.waiting,
        "peak_flops": peaks,
        "workloads": {w.name: {"title": w.title, "lengths": [len(text) for text in w.texts]} for w in workloads},
        "engines": {row.spec.name: asdict(row) | {"cosine": row.cosine} for row in rows},
    }
    arguments.output.with_suffix(".json").write_text(json.dumps(raw, indent=1), encoding="utf-8")
    return report


def describe(arguments: argparse.Namespace, peaks: list[float]) -> str:
    """What the numbers of the table are."""
    return (
        f"{arguments.threads} threads (waiting: {arguments.waiting}), medians of {arguments.rounds} interleaved "
        "rounds. Tokens/s; in brackets the share of the float32 multiply-add peak and a peer's batch size. The peak is "
        f"the best of this session, {max(peaks) / 1e9:.0f} GFLOP/s (median {np.median(peaks) / 1e9:.0f}: far below the "
        "best, other work took the cores). Ratios of speed above 1 and of memory below 1 favour embedpool.\n\n"
    )


def read_config(prepared: Path) -> dict[str, Any]:
    return json.loads((prepared / "config.json").read_text(encoding="utf-8"))


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that engines end with this program
    engines = start_engines(arguments)
    try:
        report = compare(arguments, engines)
    finally:
        close(engines)
    print(report)
    if "DISAGREES" in report:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
