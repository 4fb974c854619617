"""The tiny llama in plain torch, with dense weights and one text at a time: what the trainer is compared with."""

import math
from pathlib import Path

import gguf
import torch
from torch import Tensor
from torch.nn import functional

HEADS, KV_HEADS, EPSILON = 4, 2, 1e-6


def read(path: Path) -> dict[str, Tensor]:
    """The weights of a file of `write_tiny`, by the reader of the `gguf` package."""
    return {tensor.name: torch.tensor(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def logits(weights: dict[str, Tensor], tokens: list[int]) -> Tensor:
    """What is expected after each token."""
    x, layer = weights["token_embd.weight"][tokens], 0
    while f"blk.{layer}.attn_norm.weight" in weights:
        block = {name.split(".")[2]: one for name, one in weights.items() if name.startswith(f"blk.{layer}.")}
        h = _norm(x, block["attn_norm"])
        q, k, v = (
            (h @ block[name].T).view(len(tokens), heads, -1).transpose(0, 1)
            for name, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS), ("attn_v", KV_HEADS))
        )
        q, k = _rotated(q), _rotated(k).repeat_interleave(HEADS // KV_HEADS, 0)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        seen = torch.ones(len(tokens), len(tokens)).tril().bool()
        mixed = scores.masked_fill(~seen, -math.inf).softmax(-1) @ v.repeat_interleave(HEADS // KV_HEADS, 0)
        x = x + mixed.transpose(0, 1).flatten(1) @ block["attn_output"].T
        h = _norm(x, block["ffn_norm"])
        x = x + (functional.silu(h @ block["ffn_gate"].T) * (h @ block["ffn_up"].T)) @ block["ffn_down"].T
        layer += 1
    return _norm(x, weights["output_norm.weight"]) @ weights["output.weight"].T


def _norm(x: Tensor, scale: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * scale


def _rotated(x: Tensor) -> Tensor:
    """Adjacent pairs, as llama turns them."""
    pairs = x.shape[-1] // 2
    angles = torch.arange(x.shape[1])[:, None] * 10_000.0 ** (-torch.arange(pairs) / pairs)
    first, second = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack((first * cos - second * sin, first * sin + second * cos), -1).flatten(-2)


def adapted(weights: dict[str, Tensor], pairs: dict[str, tuple[Tensor, Tensor]], scale: float) -> dict[str, Tensor]:
    """Dense weights with an adapter added: W + scale · B · A."""
    return weights | {name: weights[name] + scale * b @ a for name, (a, b) in pairs.items()}


def nll(weights: dict[str, Tensor], tokens: tuple[int, ...], learned: int) -> Tensor:
    """The negative log-likelihood of the tokens from `learned` on."""
    expected = logits(weights, list(tokens[:-1])).log_softmax(-1)
    return -expected[range(learned - 1, len(tokens) - 1), list(tokens[learned:])]
