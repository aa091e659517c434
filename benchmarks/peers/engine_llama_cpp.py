"""llama.cpp through llama-cpp-python's low-level interface, one sequence a text.

Texts of one length go into streams of their own, ragged ones into one unified cache, whose dense mask costs less than
splitting; flash attention is on, micro-batches have 512 tokens: its fastest settings.

With `embeddings` on, llama.cpp computes the vocabulary's logits of every token, a quarter of the work and more memory
than the model. So last tokens alone are outputs here, and their states after the final norm are read on the way. A
format that ends in `+api`, e.g. `shipped+api`, takes embeddings and pooling from llama.cpp as its users do.
"""

from __future__ import annotations

import argparse
import ctypes
from pathlib import Path

import llama_cpp
import numpy as np

from serve import Embed, TokenIds, serve

TOKENS = 2048  # of one call, and places in the cache
UNIFIED_TEXTS = 64
STREAMS = 8


def load_ggml() -> ctypes.CDLL:
    """The library of tensors below llama.cpp, which the package brings without an interface to it."""
    ggml = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))
    ggml.ggml_get_name.restype, ggml.ggml_get_name.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    ggml.ggml_nbytes.restype, ggml.ggml_nbytes.argtypes = ctypes.c_size_t, [ctypes.c_void_p]
    ggml.ggml_backend_tensor_get.restype = None
    ggml.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
    return ggml


class FinalStates:
    """Collects the rows of every tensor `result_norm`, which has one for each output token of a micro-batch.

    `callback` is called twice for a tensor: whether it is wanted, and when it has been computed.
    """

    def __init__(self, width: int) -> None:
        self._ggml, self.width = load_ggml(), width
        self.rows: list[np.ndarray] = []
        self.callback = llama_cpp.ggml_backend_sched_eval_callback(self._evaluate)

    def _evaluate(self, tensor: int, ask: bool, _: int) -> bool:
        if ask:
            return self._ggml.ggml_get_name(tensor) == b"result_norm"
        size = self._ggml.ggml_nbytes(tensor)
        rows = np.empty((size // 4 // self.width, self.width), dtype=np.float32)
        if size > 0:
            self._ggml.ggml_backend_tensor_get(tensor, rows.ctypes.data, 0, size)
        self.rows.append(rows)
        return True


class Context:
    """A llama.cpp context and the batch that is handed to it."""

    def __init__(self, model: llama_cpp.llama_model_p, threads: int, texts: int, unified: bool, api: bool) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = TOKENS
        params.n_ubatch = 512
        params.n_seq_max = texts
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = unified
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self.states = FinalStates(llama_cpp.llama_model_n_embd(model))
        self.api = params.embeddings = api
        if api:
            params.pooling_type = llama_cpp.LLAMA_POOLING_TYPE_LAST
        else:
            params.n_outputs_max = texts
            params.cb_eval = self.states.callback
        self.context = llama_cpp.llama_init_from_model(model, params)
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
        self.states.rows.clear()
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError(f"llama_decode failed for {len(texts)} texts of {row} tokens")
        if not self.api:
            return np.concatenate(self.states.rows)
        pooled = [llama_cpp.llama_get_embeddings_seq(self.context, i) for i in range(len(texts))]
        return np.stack([np.ctypeslib.as_array(one, (self.states.width,)) for one in pooled])


def load(arguments: argparse.Namespace) -> Embed:
    log = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(log, None)
    llama_cpp.llama_backend_init()
    name, _, access = arguments.format.partition("+")
    path = arguments.prepared / f"{name}.gguf"
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    if model is None:
        raise SystemExit(f"llama.cpp cannot load {path}")
    unified = Context(model, arguments.threads, UNIFIED_TEXTS, unified=True, api=access == "api")
    streams = Context(model, arguments.threads, STREAMS, unified=False, api=access == "api")

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
