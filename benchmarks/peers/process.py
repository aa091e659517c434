"""Engines as processes that live for the whole run, and sleep while others work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workloads import TokenIds

HERE = Path(__file__).parent
PAUSE_SECONDS = 0.05  # at each switch, so that the engine before has fallen asleep


@dataclass(frozen=True)
class EngineSpec:
    """An engine by name, e.g. `onnxruntime` or `llama_cpp:q8_0`; `embedpool:f32` is ours."""

    name: str

    @property
    def program(self) -> str:
        return self.name.partition(":")[0]

    @property
    def format(self) -> str:
        return self.name.partition(":")[2] or "f32"

    @property
    def ours(self) -> bool:
        return self.program == "embedpool"

    @property
    def packs(self) -> bool:
        """Whether texts are never padded, so that sorting them by length changes nothing."""
        return self.program in ("embedpool", "llama_cpp")

    @property
    def exact(self) -> bool:
        """Whether weights and arithmetic are float32, so that embeddings must agree."""
        return self.format.partition("+")[0] in ("f32", "compiled")


@dataclass(frozen=True)
class Settings:
    server: Path
    model: Path
    prepared: Path
    threads: int
    batch_tokens: int
    waiting: str  # "passive": waiting threads sleep; "own": as each engine does by itself


class Engine:
    """A running engine. Stopped by a signal except inside `awake()`, so that no idle thread takes a core."""

    def __init__(self, spec: EngineSpec, settings: Settings) -> None:
        self.spec = spec
        self._settings = settings
        self._start()

    def _start(self) -> None:
        start = time.perf_counter()
        self._process = subprocess.Popen(
            self._command(self.spec, self._settings),
            env=_environment(self._settings),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        ready = self._answer()
        #: From the start of the process until it can embed, in seconds: imports included.
        self.start_seconds = time.perf_counter() - start
        #: Memory that imports alone take, in MB.
        self.imports_megabytes: float = ready.get("imports_megabytes", 0.0)
        self._process.send_signal(signal.SIGSTOP)

    def restart(self) -> None:
        """Begins anew, with a memory that has seen nothing."""
        self.close()
        self._start()

    @staticmethod
    def _command(spec: EngineSpec, settings: Settings) -> list[str]:
        if spec.ours:
            return [
                str(settings.server),
                str(settings.model),
                spec.format,
                str(settings.threads),
                str(settings.batch_tokens),
            ]
        script = HERE / f"engine_{spec.program}.py"
        if not script.exists():
            raise SystemExit(f"engine {spec.name}: there is no {script.name}")
        return [
            sys.executable,
            str(script),
            "--prepared",
            str(settings.prepared),
            "--threads",
            str(settings.threads),
            "--format",
            spec.format,
            "--waiting",
            settings.waiting,
        ]

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Lets the engine run after a pause."""
        time.sleep(PAUSE_SECONDS)
        self._process.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGSTOP)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; only inside `awake()`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def embed(self, texts: list[TokenIds], batch: int, by_length: bool) -> tuple[float, np.ndarray]:
        """Seconds of the call inside the engine, and embeddings [B, D]."""
        answer = self.ask({"op": "embed", "texts": texts, "batch": batch, "sorted": by_length})
        return answer["seconds"], np.array(answer["embeddings"], dtype=np.float32)

    def peak_megabytes(self) -> float:
        """The most memory in RAM that the process has had so far (VmHWM), in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.spec.name} ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.spec.name}: {answer['error']}")
        return answer


def _environment(settings: Settings) -> dict[str, str]:
    """The same threads for every engine; no thread bound to a core, since some libraries' pools would inherit it."""
    environment = dict(
        os.environ,
        OMP_NUM_THREADS=str(settings.threads),
        MKL_NUM_THREADS=str(settings.threads),
        OPENBLAS_NUM_THREADS="1",
        TOKENIZERS_PARALLELISM="false",
        HF_HUB_OFFLINE="1",
        PYTHONDONTWRITEBYTECODE="1",
    )
    environment.pop("OMP_PROC_BIND", None)
    environment.pop("OMP_WAIT_POLICY", None)
    if settings.waiting == "passive":
        environment["OMP_WAIT_POLICY"] = "passive"
    return environment
