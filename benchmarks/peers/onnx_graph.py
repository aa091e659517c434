"""The decoder as an ONNX graph of ONNX Runtime's fused operators, written node by node.

An exported graph leaves norms, rotary embedding and attention in pieces; this is what ONNX Runtime's own model builder
would give: SkipSimplifiedLayerNormalization (residual + RMSNorm), GroupQueryAttention (rotary, causal, grouped) and
QuickGelu with alpha 1 (SiLU), with merged query-key-value and gate-up matrices.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FUSED = "com.microsoft"


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op: str, inputs: list[str], outputs: int = 1, domain: str = "", **attributes: object) -> list[str]:
        names = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
        return names

    def one(self, op: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        return self.node(op, list(inputs), 1, domain, **attributes)[0]


def last_token_decoder(config: dict, weights: dict[str, np.ndarray], positions: int = 1024) -> onnx.ModelProto:
    """Inputs: ids [B, T], last [B] (place of each text's last token), key_ends [B] (the same as int32), tokens (T) and
    no_past [B, KV, 0, head_dim]. Output: embedding [B, D], the last token's state after the final norm."""
    heads, kv_heads, width = config["num_attention_heads"], config["num_key_value_heads"], config["hidden_size"]
    head_dim, epsilon = width // heads, config["rms_norm_eps"]
    graph = GraphBuilder()

    frequencies = config["rope_theta"] ** (-np.arange(0, head_dim, 2) / head_dim)
    angles = np.arange(positions)[:, None] * frequencies
    cos = graph.constant("cos", np.cos(angles).astype(np.float32))
    sin = graph.constant("sin", np.sin(angles).astype(np.float32))

    def matrix(name: str, *parts: str) -> str:
        """The parts one below the other, transposed for x @ W."""
        return graph.constant(name, np.concatenate([weights[part] for part in parts]).T)

    def add_and_norm(name: str, x: str, residual: str | None) -> tuple[str, str]:
        """RMSNorm(x + residual) and x + residual."""
        gain = graph.constant(name, weights[name])
        if residual is None:
            return graph.one("SimplifiedLayerNormalization", x, gain, epsilon=epsilon, axis=-1), x
        normed, _, _, total = graph.node(
            "SkipSimplifiedLayerNormalization", [x, residual, gain], 4, FUSED, epsilon=epsilon
        )
        return normed, total

    x = graph.one("Gather", graph.constant("embed_tokens.weight", weights["embed_tokens.weight"]), "ids")
    residual: str | None = None
    for layer in range(config["num_hidden_layers"]):
        at = f"layers.{layer}."
        normed, residual = add_and_norm(at + "input_layernorm.weight", x, residual)
        qkv = graph.one("MatMul", normed, matrix(at + "qkv", *(f"{at}self_attn.{name}_proj.weight" for name in "qkv")))
        mixed = graph.node(
            "GroupQueryAttention",
            [qkv, "", "", "no_past", "no_past", "key_ends", "tokens", cos, sin],
            3,
            FUSED,
            num_heads=heads,
            kv_num_heads=kv_heads,
            do_rotary=1,
            rotary_interleaved=0,
        )[0]
        x = graph.one("MatMul", mixed, matrix(at + "output", at + "self_attn.o_proj.weight"))
        normed, residual = add_and_norm(at + "post_attention_layernorm.weight", x, residual)
        merged = matrix(at + "gate_up", at + "mlp.gate_proj.weight", at + "mlp.up_proj.weight")
        gate, up = graph.node("Split", [graph.one("MatMul", normed, merged)], 2, axis=-1, num_outputs=2)
        gated = graph.one("Mul", graph.one("QuickGelu", gate, domain=FUSED, alpha=1.0), up)
        x = graph.one("MatMul", gated, matrix(at + "down", at + "mlp.down_proj.weight"))

    assert residual is not None
    states = graph.one("Add", x, residual)
    place = graph.one("Unsqueeze", "last", graph.constant("axis", np.array([1, 2])))
    place = graph.one("Expand", place, graph.constant("row", np.array([1, 1, width])))
    rows = graph.one("GatherElements", states, place, axis=1)
    rows = graph.one("Squeeze", rows, graph.constant("token_axis", np.array([1])))
    gain = graph.constant("norm.weight", weights["norm.weight"])
    graph.nodes.append(
        helper.make_node("SimplifiedLayerNormalization", [rows, gain], ["embedding"], epsilon=epsilon, axis=-1)
    )

    def value(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [
        value("ids", TensorProto.INT64, ["B", "T"]),
        value("last", TensorProto.INT64, ["B"]),
        value("key_ends", TensorProto.INT32, ["B"]),
        value("tokens", TensorProto.INT32, []),
        value("no_past", TensorProto.FLOAT, ["B", kv_heads, 0, head_dim]),
    ]
    outputs = [value("embedding", TensorProto.FLOAT, ["B", width])]
    made = helper.make_graph(graph.nodes, "last_token_decoder", inputs, outputs, graph.constants)
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(FUSED, 1)], ir_version=10
    )
