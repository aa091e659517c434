"""ONNX Runtime on the graph of onnx_graph.py."""

from __future__ import annotations

import argparse

import numpy as np
import onnxruntime

from serve import Embed, TokenIds, pad_right, serve


def load(arguments: argparse.Namespace) -> Embed:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    if arguments.waiting == "passive":
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        arguments.prepared / "decoder.onnx", options, providers=["CPUExecutionProvider"]
    )
    _, kv_heads, _, head_dim = session.get_inputs()[-1].shape

    def embed(texts: list[TokenIds]) -> np.ndarray:
        ids, last = pad_right(texts)
        feeds = {
            "ids": ids,
            "last": last,
            "key_ends": last.astype(np.int32),
            "tokens": np.array(ids.shape[1], dtype=np.int32),
            "no_past": np.empty((len(texts), kv_heads, 0, head_dim), dtype=np.float32),
        }
        return session.run(["embedding"], feeds)[0]

    return embed


if __name__ == "__main__":
    serve(load)
