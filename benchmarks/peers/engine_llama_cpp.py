"""llama.cpp through llama-cpp-python's low-level interface, one sequence a text.

Texts of one length go into streams of their own, ragged ones into one unified cache, whose dense mask costs less than
splitting; flash attention is on, micro-batches have 512 tokens: its fastest settings. Only last tokens are outputs.
"""

from __future__ import annotations

import argparse

import llama_cpp
import numpy as np

from serve import Embed, TokenIds, serve

TOKENS = 2048  # of one call, and places in the cache
UNIFIED_TEXTS = 64
STREAMS = 8


class Context:
    """A llama.cpp context and the batch that is handed to it."""

    def __init__(self, model: llama_cpp.llama_model_p, threads: int, texts: int, unified: bool) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = TOKENS
        params.n_ubatch = 512
        params.n_seq_max = texts
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = unified
        params.embeddings = True
        params.pooling_type = llama_cpp.LLAMA_POOLING_TYPE_LAST
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self.context = llama_cpp.llama_init_from_model(model, params)
        self.width: int = llama_cpp.llama_model_n_embd(model)
        self.batch = llama_cpp.llama_batch_init(TOKENS, 0, 1)

    def embed(self, texts: list[TokenIds]) -> np.ndarray:
        """Embeddings of texts that fit one call together [B, D]."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), False)
        batch, row = self.batch, 0
        for sequence, text in enumerate(texts):
            for position, token in enumerate(text):
                batch.token[row], batch.pos[row] = token, position
                batch.n_seq_id[row], batch.seq_id[row][0] = 1, sequence
                batch.logits[row] = position == len(text) - 1
                row += 1
        batch.n_tokens = row
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError(f"llama_decode failed for {len(texts)} texts of {row} tokens")
        pooled = [llama_cpp.llama_get_embeddings_seq(self.context, i) for i in range(len(texts))]
        return np.stack([np.ctypeslib.as_array(row, (self.width,)) for row in pooled])


def load(arguments: argparse.Namespace) -> Embed:
    log = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(log, None)
    llama_cpp.llama_backend_init()
    path = arguments.prepared / f"{arguments.format}.gguf"
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    if model is None:
        raise SystemExit(f"llama.cpp cannot load {path}")
    unified = Context(model, arguments.threads, UNIFIED_TEXTS, unified=True)
    streams = Context(model, arguments.threads, STREAMS, unified=False)

    def embed(texts: list[TokenIds]) -> np.ndarray:
        _ = log  # llama.cpp holds the callback only by its address
        lengths = {len(text) for text in texts}
        if len(lengths) == 1 and 1 < len(texts) <= STREAMS and len(texts[0]) <= TOKENS // STREAMS:
            return streams.embed(texts)
        parts: list[list[TokenIds]] = []
        room = 0
        for text in texts:
            if len(text) > room or len(parts[-1]) == UNIFIED_TEXTS:
                parts.append([])
                room = TOKENS
            parts[-1].append(text)
            room -= len(text)
        return np.concatenate([unified.embed(part) for part in parts])

    return embed


if __name__ == "__main__":
    serve(load)
