"""One GGUF file in the form that each engine reads; every form holds the same dequantised weights.

    weights.safetensors, config.json, transformers_config.json    float32, by transformers' own GGUF reader
    f32.gguf, f16.gguf, q8_0.gguf, q4_0.gguf                      re-encoded from float32, for llama.cpp
    decoder.onnx, decoder.xml                                     float32 graphs

What is there already is kept. q4_0 is quantised a second time, which costs quality: it shows llama.cpp's fastest
kernels, not what a q4_0 file of the original weights would be worth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np


def write_weights(model: Path, directory: Path) -> None:
    """transformers reads the GGUF but does not save what it read, so weights and configuration are written here."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaModel

    loaded = LlamaModel.from_pretrained(model.parent, gguf_file=model.name, dtype=torch.float32)
    full = {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    (directory / "transformers_config.json").write_text(json.dumps(full, indent=1, default=str), encoding="utf-8")
    config = loaded.config
    names = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "rms_norm_eps",
        "vocab_size",
    )
    short = {name: getattr(config, name) for name in names}
    short["rope_theta"] = config.rope_parameters["rope_theta"]
    (directory / "config.json").write_text(json.dumps(short, indent=1), encoding="utf-8")
    save_file(
        {name: weight.contiguous() for name, weight in loaded.state_dict().items()}, directory / "weights.safetensors"
    )


def write_gguf(model: Path, target: Path, kind: gguf.GGMLQuantizationType) -> None:
    """The same file with its matrices in another format; a 4-bit file keeps its embedding table."""
    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == gguf.Keys.General.ARCHITECTURE:
            continue
        sub_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub_type)
    for tensor in reader.tensors:
        kept = kind == gguf.GGMLQuantizationType.Q4_0 and tensor.name == "token_embd.weight"
        if tensor.tensor_type == gguf.GGMLQuantizationType.F32 or kept:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            writer.add_tensor(tensor.name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_onnx(directory: Path, target: Path) -> None:
    import onnx
    from safetensors.numpy import load_file

    from onnx_graph import last_token_decoder

    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    onnx.save(last_token_decoder(config, load_file(directory / "weights.safetensors")), target)


def write_openvino(directory: Path, target: Path) -> None:
    import openvino
    import torch

    from torch_decoder import load_decoder

    example = (torch.ones((2, 16), dtype=torch.int64), torch.tensor([15, 7]))
    converted = openvino.convert_model(
        load_decoder(directory, expand_keys=True),
        example_input=example,
        input=[([-1, -1], openvino.Type.i64), ([-1], openvino.Type.i64)],
    )
    openvino.save_model(converted, target, compress_to_fp16=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file of the llama architecture")
    parser.add_argument("--directory", type=Path, required=True, help="where the forms are written")
    arguments = parser.parse_args()
    model, directory = arguments.model, arguments.directory
    directory.mkdir(parents=True, exist_ok=True)

    def make(name: str, write: Callable[[Path], None]) -> None:
        if not (directory / name).exists():
            print(f"writing {name}", flush=True)
            write(directory / name)

    make("weights.safetensors", lambda _: write_weights(model, directory))
    for kind in ("F32", "F16", "Q8_0", "Q4_0"):
        make(f"{kind.lower()}.gguf", lambda path, kind=kind: write_gguf(model, path, gguf.GGMLQuantizationType[kind]))
    make("decoder.onnx", lambda path: write_onnx(directory, path))
    make("decoder.xml", lambda path: write_openvino(directory, path))
    if not (directory / "shipped.gguf").exists():
        (directory / "shipped.gguf").symlink_to(model.resolve())


if __name__ == "__main__":
    main()
