"""Plain PyTorch: torch_decoder.py. Format `compiled`: the same through torch.compile, shapes dynamic."""

from __future__ import annotations

import argparse

import numpy as np
import torch

from serve import Embed, TokenIds, pad_right, serve
from torch_decoder import load_decoder


def load(arguments: argparse.Namespace) -> Embed:
    torch.set_num_threads(arguments.threads)
    model = load_decoder(arguments.prepared)
    if arguments.format == "compiled":
        model = torch.compile(model, dynamic=True)

    @torch.inference_mode()
    def embed(texts: list[TokenIds]) -> np.ndarray:
        ids, last = pad_right(texts)
        return model(torch.from_numpy(ids), torch.from_numpy(last)).numpy()

    return embed


if __name__ == "__main__":
    serve(load)
