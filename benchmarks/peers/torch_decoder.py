"""A Llama decoder in plain PyTorch, as one would write it for speed: merged matrices, no cache, no padding mask."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """One layer: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: dict, weights: dict[str, Tensor], expand_keys: bool) -> None:
        super().__init__()
        self.heads: int = config["num_attention_heads"]
        self.kv_heads: int = config["num_key_value_heads"]
        self.head_dim: int = config["hidden_size"] // self.heads
        self.epsilon: float = config["rms_norm_eps"]
        self.expand_keys = expand_keys

        def frozen(*names: str) -> nn.Parameter:
            return nn.Parameter(torch.cat([weights[name] for name in names]), requires_grad=False)

        self.attention_norm = frozen("input_layernorm.weight")
        self.qkv = frozen(*(f"self_attn.{name}_proj.weight" for name in "qkv"))
        self.output = frozen("self_attn.o_proj.weight")
        self.feed_forward_norm = frozen("post_attention_layernorm.weight")
        self.gate_up = frozen("mlp.gate_proj.weight", "mlp.up_proj.weight")
        self.down = frozen("mlp.down_proj.weight")

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x [B, T, D], cos and sin [T, head_dim] -> [B, T, D]"""
        batch, tokens, width = x.shape
        normed = F.rms_norm(x, (width,), self.attention_norm, self.epsilon)
        qkv = F.linear(normed, self.qkv).view(batch, tokens, -1, self.head_dim).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.expand_keys:
            k = k.repeat_interleave(self.heads // self.kv_heads, dim=1)
            v = v.repeat_interleave(self.heads // self.kv_heads, dim=1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=not self.expand_keys)
        x = x + F.linear(mixed.transpose(1, 2).reshape(batch, tokens, width), self.output)
        normed = F.rms_norm(x, (width,), self.feed_forward_norm, self.epsilon)
        gate, up = F.linear(normed, self.gate_up).chunk(2, dim=-1)
        return x + F.linear(F.silu(gate) * up, self.down)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of halves: pairs are (i, i + head_dim / 2)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class LastTokenDecoder(nn.Module):
    """Token ids [B, T] and the place of each text's last token [B] -> its state after the final norm [B, D].

    expand_keys: repeat keys and values for every head, for converters that know no grouped attention.
    """

    def __init__(
        self, config: dict, weights: dict[str, Tensor], expand_keys: bool = False, positions: int = 1024
    ) -> None:
        super().__init__()
        self.epsilon: float = config["rms_norm_eps"]
        self.embedding = nn.Parameter(weights["embed_tokens.weight"], requires_grad=False)
        self.norm = nn.Parameter(weights["norm.weight"], requires_grad=False)

        def of_layer(layer: int) -> dict[str, Tensor]:
            prefix = f"layers.{layer}."
            return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}

        layers = range(config["num_hidden_layers"])
        self.blocks = nn.ModuleList(Block(config, of_layer(layer), expand_keys) for layer in layers)
        cos, sin = rotary_tables(config, positions)
        self.register_buffer("cos", torch.cat((cos, cos), dim=-1))
        self.register_buffer("sin", torch.cat((sin, sin), dim=-1))

    def forward(self, ids: Tensor, last: Tensor) -> Tensor:
        x = F.embedding(ids, self.embedding)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        rows = x[torch.arange(ids.shape[0]), last]
        return F.rms_norm(rows, (x.shape[-1],), self.norm, self.epsilon)


def rotary_tables(config: dict, positions: int) -> tuple[Tensor, Tensor]:
    """cos and sin of position x frequency [positions, head_dim / 2]."""
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    frequencies = config["rope_theta"] ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * frequencies
    return angles.cos().float(), angles.sin().float()


def load_decoder(prepared: Path, expand_keys: bool = False) -> LastTokenDecoder:
    """The decoder from what prepare.py wrote."""
    config = json.loads((prepared / "config.json").read_text(encoding="utf-8"))
    return LastTokenDecoder(config, load_file(prepared / "weights.safetensors"), expand_keys).eval()
