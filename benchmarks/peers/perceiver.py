"""The trainable head of "Pooling And Attention" (arXiv 2409.02727) in PyTorch, line by line as its code does it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PerceiverHead(nn.Module):
    """Keys [B, n, D] -> embeddings [B, D], before any normalisation.

    hoisted: queries depend on no text, so they are projected once a batch; as released, once for every text.
    """

    def __init__(self, width: int, latents: int, heads: int, head_dim: int, hoisted: bool = False) -> None:
        super().__init__()
        self.heads, self.hoisted = heads, hoisted
        inner = heads * head_dim
        self.latents = nn.Parameter(torch.randn(latents, width))
        self.norm, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 8 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, keys: Tensor) -> Tensor:
        batch = keys.shape[0]
        latents = self.latents.expand(batch, -1, -1)
        if self.hoisted:
            q = self.to_q(self.norm_context(self.latents)).expand(batch, -1, -1)
        else:
            q = self.to_q(self.norm_context(latents.clone()))
        k, v = self.to_kv(self.norm(keys)).chunk(2, dim=-1)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = latents + self.to_out(mixed)
        value, gate = self.expand(self.feed_forward_norm(x)).chunk(2, dim=-1)
        return (x + self.contract(value * F.gelu(gate))).mean(dim=1)
