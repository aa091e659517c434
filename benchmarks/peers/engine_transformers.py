"""Hugging Face transformers, scaled-dot-product attention: the reference that embeddings are compared to."""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaModel

from serve import Embed, TokenIds, pad_right, serve


def load(arguments: argparse.Namespace) -> Embed:
    torch.set_num_threads(arguments.threads)
    config = json.loads((arguments.prepared / "transformers_config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        model = LlamaModel._from_config(LlamaConfig(**config), attn_implementation="sdpa", dtype=torch.float32)
    model.load_state_dict(load_file(arguments.prepared / "weights.safetensors"), assign=True)
    model.rotary_emb = type(model.rotary_emb)(model.config)  # its frequencies are not among the weights
    model.eval()

    @torch.inference_mode()
    def embed(texts: list[TokenIds]) -> np.ndarray:
        ids, last = pad_right(texts)
        states = model(torch.from_numpy(ids), use_cache=False).last_hidden_state
        return states[torch.arange(len(texts)), torch.from_numpy(last)].numpy()

    return embed


if __name__ == "__main__":
    serve(load)
