"""OpenVINO on the converted module of torch_decoder.py."""

from __future__ import annotations

import argparse

import numpy as np
import openvino

from serve import Embed, TokenIds, pad_right, serve


def load(arguments: argparse.Namespace) -> Embed:
    model = openvino.Core().compile_model(
        arguments.prepared / "decoder.xml",
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": arguments.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = model.create_infer_request()

    def embed(texts: list[TokenIds]) -> np.ndarray:
        return request.infer(pad_right(texts))[0].copy()

    return embed


if __name__ == "__main__":
    serve(load)
