"""The starter model: a small llama-shaped decoder whose attention follows a tree of tasks on one passage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """The shape of the model; every width is a multiple of 32, which the matrix units of a CPU like."""

    vocab: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 8
    hidden: int = 704
    rope_base: float = 10_000.0
    norm_eps: float = 1e-6

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position in the half-split layout (the export reorders rows to llama.cpp's interleaved one)."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def tree_mask(doc: Tensor, tail: Tensor) -> Tensor:
    """What each token may see: the shared passage (tail 0) of its own document and its own task, never ahead."""
    n = doc.shape[1]
    same_doc = doc[:, :, None] == doc[:, None, :]
    visible = (tail[:, None, :] == 0) | (tail[:, :, None] == tail[:, None, :])
    causal = torch.ones(n, n, dtype=torch.bool, device=doc.device).tril()
    return (same_doc & visible & causal)[:, None]


class Block(nn.Module):
    """One layer: attention, then a gated feed-forward, each behind a norm and added to the stream."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.heads = c.heads
        self.attn_norm = nn.RMSNorm(c.width, eps=c.norm_eps)
        self.q = nn.Linear(c.width, c.width, bias=False)
        self.k = nn.Linear(c.width, c.width, bias=False)
        self.v = nn.Linear(c.width, c.width, bias=False)
        self.out = nn.Linear(c.width, c.width, bias=False)
        self.ffn_norm = nn.RMSNorm(c.width, eps=c.norm_eps)
        self.gate = nn.Linear(c.width, c.hidden, bias=False)
        self.up = nn.Linear(c.width, c.hidden, bias=False)
        self.down = nn.Linear(c.hidden, c.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        b, n, d = x.shape
        h = self.attn_norm(x)
        q, k, v = (p(h).view(b, n, self.heads, -1).transpose(1, 2) for p in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype), v, mask)
        x = x + self.out(y.transpose(1, 2).reshape(b, n, d))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Starter(nn.Module):
    """The whole decoder; the output matrix is the embedding."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.config = c
        self.embed = nn.Embedding(c.vocab, c.width)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.width, eps=c.norm_eps)
        self.reset()

    def reset(self) -> None:
        """Random weights; layers write nothing at first, so that the stream still tells tokens apart for copying."""
        nn.init.normal_(self.embed.weight, std=0.1)
        for name, p in self.blocks.named_parameters():
            if ".out." in name or ".down." in name:
                nn.init.zeros_(p)
            elif p.dim() == 2:
                nn.init.normal_(p, std=1 / math.sqrt(p.shape[1]))

    def forward(self, ids: Tensor, doc: Tensor, tail: Tensor, position: Tensor) -> Tensor:
        """The last hidden state of every token; times the embedding it gives the logits."""
        c = self.config
        half = torch.arange(0, c.head_width, 2, device=ids.device)
        angle = position[:, None, :, None] * c.rope_base ** (-half / c.head_width)
        cos, sin = angle.cos(), angle.sin()
        mask = tree_mask(doc, tail)
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return self.norm(x)
