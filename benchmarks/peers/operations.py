"""Arithmetic that a causal decoder needs; multiply and add count as two operations."""

from __future__ import annotations

from typing import Any

from workloads import TokenIds


def forward_operations(config: dict[str, Any], texts: list[TokenIds], last_rows_only: bool) -> float:
    """Linear layers and the attention pairs that the causal mask lets through; no embedding table, no vocabulary.

    last_rows_only: in the last layer queries, output projection and feed-forward are computed for last tokens alone.
    """
    width, heads, layers = config["hidden_size"], config["num_attention_heads"], config["num_hidden_layers"]
    kv_width = width // heads * config["num_key_value_heads"]
    every_token = 2.0 * 2 * width * kv_width
    query_token = 2.0 * (2 * width * width + 3 * width * config["intermediate_size"])

    total = 0.0
    for text in texts:
        tokens = len(text)
        pairs = tokens * (tokens + 1) / 2
        total += layers * (tokens * (every_token + query_token) + 4 * width * pairs)
        if last_rows_only:
            total -= (tokens - 1) * query_token + 4 * width * (pairs - tokens)
    return total
