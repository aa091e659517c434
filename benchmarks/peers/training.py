"""A step of LoRA training on a decoder of SmolLM2-135M's size: PyTorch with PEFT beside embedpool, in turn.

16 triplets of texts of 20 to 40 tokens, r = 16 on all seven maps, f32, mean pooling, InfoNCE, AdamW. Every run is a process
of its own, so that its peak memory is its own. Tokens are those of the texts: padding does not count. Weights are random:
a step's time does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

TRIPLETS, SHORTEST, LONGEST = 16, 20, 40
PEERS = {"PyTorch + PEFT": "plain", "with checkpointing": "checkpointing", "as a gradient cache of 12": "cached"}
OURS = {
    "embedpool": "everything kept",
    "embedpool, half of the blocks kept": "half of the blocks kept",
    "embedpool, blocks computed again": "blocks computed again",
    "embedpool, gradient cache of 12": "gradient cache of 12",
}


def peer_step(variant: str, threads: int, steps: int) -> dict[str, float]:
    """Tokens/s of the fastest step after a warm one, and the peak memory of this process."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaModel

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    config = LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        vocab_size=49152, tie_word_embeddings=True,
    )
    maps = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(LlamaModel(config), LoraConfig(r=16, lora_alpha=32, target_modules=maps))
    if variant == "checkpointing":
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (3 * TRIPLETS,))
    mask = (torch.arange(int(lengths.max()))[None, :] < lengths[:, None]).long()
    ids = torch.randint(0, config.vocab_size, mask.shape)

    def embed(rows: slice) -> torch.Tensor:
        longest = int(lengths[rows].max())
        states = model(input_ids=ids[rows, :longest], attention_mask=mask[rows, :longest]).last_hidden_state
        weights = mask[rows, :longest, None].float()
        mean = (states * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)

    def loss(embeddings: torch.Tensor) -> torch.Tensor:
        scores = 20 * embeddings[:TRIPLETS] @ embeddings[TRIPLETS:].T
        return torch.nn.functional.cross_entropy(scores, torch.arange(TRIPLETS))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        if variant == "cached":
            chunks = [slice(first, first + 12) for first in range(0, 3 * TRIPLETS, 12)]
            with torch.no_grad():
                embeddings = torch.cat([embed(rows) for rows in chunks])
            embeddings.requires_grad_()
            loss(embeddings).backward()
            for rows in chunks:
                embed(rows).backward(embeddings.grad[rows])
        else:
            loss(embed(slice(0, 3 * TRIPLETS))).backward()
        optimizer.step()

    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return {
        "tokens/s": float(lengths.sum()) / min(seconds[1:]),
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def our_step(benchmark: Path, variant: str, threads: int) -> dict[str, float]:
    command = [str(benchmark), f"--benchmark_filter=^{variant}/threads:{threads}", "--benchmark_format=json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output)["benchmarks"][0]


def their_step(variant: str, threads: int, steps: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--peer", variant, "--threads", str(threads), "--steps", str(steps)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, help="the program train.lora_step_benchmark")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of a peer a round, behind one that warms up")
    parser.add_argument("--peer", choices=list(PEERS.values()), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        print(json.dumps(peer_step(arguments.peer, arguments.threads, arguments.steps)))
        return
    results: dict[str, list[dict[str, float]]] = {}
    for _ in range(arguments.rounds):
        for name, variant in OURS.items():
            results.setdefault(name, []).append(our_step(arguments.benchmark, variant, arguments.threads))
        for name, variant in PEERS.items():
            results.setdefault(name, []).append(their_step(variant, arguments.threads, arguments.steps))
    print("| step | tokens/s | of the f32 peak | peak MB |\n|---|---|---|---|")
    for name, runs in results.items():
        rate = statistics.median(run["tokens/s"] for run in runs)
        shares = [run["share_of_f32_peak_%"] for run in runs if "share_of_f32_peak_%" in run]
        share = f"{statistics.median(shares):.0f} %" if shares else ""
        print(f"| {name} | {rate:.0f} | {share} | {max(run['peak_MB'] for run in runs):.0f} |")


if __name__ == "__main__":
    main()
