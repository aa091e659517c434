"""The Perceiver head in PyTorch beside embedpool's, at two sizes, forward and forward + backward, in turn.

PyTorch: as released, and with the queries projected once a batch. embedpool: the program pooling.heads_benchmark.
Milliseconds a text, the fastest of all rounds on both sides; backward gives the gradients of parameters and keys.
embedpool's once-a-step work (preparing, and the chain of gradients to W_q and W_K) has a row of its own; PyTorch has
its part of that in every batch. That the two heads compute the same is a test (heads of recorded PyTorch values).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch

from perceiver import PerceiverHead


@dataclass(frozen=True)
class Size:
    name: str
    width: int
    latents: int
    heads: int
    head_dim: int
    keys: int
    batch: int
    calls: int  # of PyTorch a round

    @property
    def title(self) -> str:
        return (
            f"{self.name}: d {self.width}, r {self.latents}, {self.heads} heads of {self.head_dim}, {self.keys} keys, "
            f"batch {self.batch}"
        )


SIZES = [Size("small", 576, 64, 8, 64, 30, 8, calls=5), Size("full", 896, 768, 32, 2048, 24, 4, calls=1)]
Times = dict[str, float]  # milliseconds a text


def torch_times(size: Size, hoisted: bool) -> Times:
    """The fastest call of one round, after a warm one."""
    torch.manual_seed(1)
    head = PerceiverHead(size.width, size.latents, size.heads, size.head_dim, hoisted)
    keys = torch.randn(size.batch, size.keys, size.width, requires_grad=True)
    gradient = torch.randn(size.batch, size.width)

    def forward() -> None:
        with torch.inference_mode():
            head(keys)

    def forward_backward() -> None:
        head.zero_grad(set_to_none=True)
        keys.grad = None
        head(keys).backward(gradient)

    times: Times = {}
    for name, work in (("forward", forward), ("forward + backward", forward_backward)):
        work()
        seconds = []
        for _ in range(size.calls):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        times[name] = 1e3 * min(seconds) / size.batch
    return times


def our_times(benchmark: Path, size: Size, threads: int) -> Times:
    """One run of embedpool's benchmark on the same size, batch and threads."""
    names = {"forward": "forward", "forward_backward": "forward + backward", "once_a_step": "once a step"}
    pattern = f"^({'|'.join(names)})/{size.name}.*batch:{size.batch}/threads:{threads}(/|$)"
    command = [str(benchmark), f"--benchmark_filter={pattern}", "--benchmark_format=json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    times: Times = {}
    for run in json.loads(output)["benchmarks"]:
        name = names[run["name"].split("/")[0]]
        times[name] = run["ms_a_text"] if "ms_a_text" in run else run["prepare_ms"] + run["chain_ms"]
    return times


def difference_of_orders() -> float:
    """Largest difference of an embedding's value between released and hoisted order, at a tiny size."""
    torch.manual_seed(1)
    released, hoisted = PerceiverHead(32, 6, 2, 16), PerceiverHead(32, 6, 2, 16, hoisted=True)
    hoisted.load_state_dict(released.state_dict())
    keys = torch.randn(3, 5, 32)
    with torch.inference_mode():
        return float((released(keys) - hoisted(keys)).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, help="the program pooling.heads_benchmark; without it PyTorch alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--sizes", nargs="+", choices=[size.name for size in SIZES], default=[size.name for size in SIZES]
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if (difference := difference_of_orders()) > 1e-5:  # sums of 32 values of order 1, in float32
        raise SystemExit(f"the two orders of the head differ by {difference}")

    for size in (size for size in SIZES if size.name in arguments.sizes):
        fastest: dict[str, Times] = defaultdict(dict)
        for _ in range(arguments.rounds):
            runs = {
                "PyTorch, as released": torch_times(size, hoisted=False),
                "PyTorch, queries hoisted": torch_times(size, hoisted=True),
            }
            time.sleep(0.05)  # PyTorch's threads fall asleep
            if arguments.benchmark:
                runs["embedpool"] = our_times(arguments.benchmark, size, arguments.threads)
            for engine, times in runs.items():
                for name, value in times.items():
                    fastest[engine][name] = min(value, fastest[engine].get(name, value))
        print_table(size, fastest)


def print_table(size: Size, fastest: dict[str, Times]) -> None:
    ours = fastest.get("embedpool")
    print(f"\n{size.title}; ms a text\n\n| | forward | forward + backward |\n| --- | --- | --- |")
    for engine, times in fastest.items():
        cells = [
            f"{times[name]:.2f}" + (f" (x {times[name] / ours[name]:.1f})" if ours and times is not ours else "")
            for name in ("forward", "forward + backward")
        ]
        print(f"| {engine} | {' | '.join(cells)} |")
    if ours and "once a step" in ours:
        print(f"| embedpool, once a step for any number of texts (ms) | {ours['once a step']:.2f} | |")


if __name__ == "__main__":
    main()
