"""The decoder in torch: tokens to hidden states to logits, as llama.cpp computes them for each architecture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from core.tuning.lora import Lora
from core.tuning.traits import YARN_FAST, YARN_SLOW, Rope, Traits
from core.tuning.weights import Stack, Weights, linear


@dataclass(frozen=True)
class Batch:
    """Texts one after the other. None sees another: for attention each is a row of its own, padded at its end."""

    tokens: Tensor  # (N,)
    positions: Tensor  # (N,), within its text
    lengths: tuple[int, ...]
    longest: int  # of the rows, as they are padded
    places: Tensor | None  # (N,), of each token in the rows laid out flat; None where no row is padded

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], device: str | torch.device = "cpu", multiple: int = 1) -> "Batch":
        """The rows are as long as the longest text, and that a multiple."""
        lengths = tuple(len(text) for text in texts)
        longest = -(-max(lengths) // multiple) * multiple
        positions = torch.cat([torch.arange(length) for length in lengths])
        places: Tensor | None = None
        if min(lengths) < longest:
            places = torch.cat([torch.arange(length) + row * longest for row, length in enumerate(lengths)]).to(device)
        tokens = torch.tensor([token for text in texts for token in text], dtype=torch.int64)
        return cls(tokens.to(device), positions.to(device), lengths, longest, places)

    def square(self, x: Tensor) -> Tensor:
        """(N, …) to (rows, longest, …)."""
        if self.places is not None:
            x = _Scatter.apply(x, self.places, len(self.lengths) * self.longest)  # type: ignore[assignment]
        return x.view(len(self.lengths), self.longest, *x.shape[1:])

    def flat(self, x: Tensor) -> Tensor:
        """(rows, longest, …) to (N, …)."""
        x = x.reshape(len(self.lengths) * self.longest, *x.shape[2:])
        return x if self.places is None else _Gather.apply(x, self.places)  # type: ignore[return-value]


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.places = places
        return x.new_zeros((size, *x.shape[1:])).index_copy_(0, places, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].index_select(0, ctx.places), None, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.places, ctx.size = places, len(x)
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        return gradient.new_zeros((ctx.size, *gradient.shape[1:])).index_copy_(0, ctx.places, gradient), None


class Decoder:
    """Without an adapter it is the model itself, bit for bit the same whether one was used before or not."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.traits = weights.traits

    def hidden(
        self, batch: Batch, lora: Lora | None = None, recompute: bool = False, noise: Tensor | None = None
    ) -> Tensor:
        """The last hidden states (N, width), after the output norm. `noise` is added to the embeddings.

        With `recompute` only what goes from layer to layer is kept for the backward pass.
        """
        x = self.weights.rows("token_embd.weight", batch.tokens)
        if self.traits.embedding_scale != 1:
            x = x * self.traits.embedding_scale
        if noise is not None:
            x = x + noise
        pass_ = _Pass(self.weights, self.traits, batch, lora)
        for layer in range(self.traits.layers):
            if recompute and torch.is_grad_enabled():
                x = checkpoint(pass_.layer, x, layer, use_reentrant=False)
            else:
                x = pass_.layer(x, layer)
        return pass_.norm(x, "output_norm.weight")

    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, vocabulary) in float32."""
        head = "token_embd.weight" if self.traits.tied else "output.weight"
        logits = linear(self.weights, (head,), hidden)
        cap = self.traits.output_cap
        return torch.tanh(logits / cap) * cap if cap else logits


class _Pass:
    """One pass over a batch: what all layers have in common."""

    def __init__(self, weights: Weights, traits: Traits, batch: Batch, lora: Lora | None) -> None:
        self.weights, self.traits, self.batch, self.lora = weights, traits, batch, lora
        self.turns = {
            rope: rotations(self.traits, rope, weights.vector(self.traits.rope_factors), batch.positions)
            for rope in set(self.traits.ropes)
            if rope.base
        }
        self.masks = {window: self._mask(window) for window in set(self.traits.windows)}

    def layer(self, x: Tensor, layer: int) -> Tensor:
        block = f"blk.{layer}."
        mixed = self.attention(self.norm(x, block + "attn_norm.weight"), layer)
        x = x + self.norm(mixed, block + "post_attention_norm.weight")
        fed = self.feed(self.norm(x, block + "ffn_norm.weight"), layer)
        return x + self.norm(fed, block + "post_ffw_norm.weight")

    def attention(self, x: Tensor, layer: int) -> Tensor:
        block, traits, stacks = f"blk.{layer}.", self.traits, self.weights.stacks[layer]
        heads = traits.heads, traits.kv_heads, traits.kv_heads
        sizes = traits.head_size, traits.head_size, traits.value_size
        parts = self.linear(x, stacks.qkv).split([count * size for count, size in zip(heads, sizes, strict=True)], -1)
        q, k, v = (part.unflatten(-1, size) for part, size in zip(parts, zip(heads, sizes, strict=True), strict=True))
        q, k = self.norm(q, block + "attn_q_norm.weight"), self.norm(k, block + "attn_k_norm.weight")
        turns = self.turns.get(traits.ropes[layer])
        if turns is not None:
            q, k = rotate(q, turns, traits.rotation), rotate(k, turns, traits.rotation)
        q, k, v = (self.batch.square(part).transpose(1, 2) for part in (q, k, v))
        mixed = self._attend(q, k, v, self.masks[traits.windows[layer]])
        return self.linear(self.batch.flat(mixed.transpose(1, 2)).flatten(1), stacks.output)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        dtype, shared = self.weights.dtype, q.shape[1] != k.shape[1]
        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
        if self.traits.attention_cap:
            return checkpoint(self._attend_capped, q, k, v, mask, use_reentrant=False)  # scores are large
        if shared and q.device.type == "mps":  # which computes shared keys wrongly, or not at all
            k, v, shared = _repeated(k, q), _repeated(v, q), False
        return functional.scaled_dot_product_attention(
            q, k, v, mask, is_causal=mask is None, scale=self.traits.attention_scale, enable_gqa=shared
        ).float()

    def _attend_capped(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """With soft caps (arXiv 2408.00118), which torch's own does not know."""
        cap = self.traits.attention_cap
        scores = torch.tanh((q * self.traits.attention_scale @ _repeated(k, q).mT).float() / cap) * cap
        hidden = ~(self._causal(q.shape[2]) if mask is None else mask)
        return (scores.masked_fill(hidden, -torch.inf).softmax(-1).to(v.dtype) @ _repeated(v, q)).float()

    def feed(self, x: Tensor, layer: int) -> Tensor:
        stacks = self.weights.stacks[layer]
        return self.linear(gated(self.linear(x, stacks.gate_up), self.traits.activation), stacks.down)

    def linear(self, x: Tensor, stack: Stack) -> Tensor:
        return linear(self.weights, stack, x, self.lora)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Divided by its root mean square and scaled; as it is where the model has no such norm."""
        scale = self.weights.vector(name)
        return x if scale is None else _Norm.apply(x, scale, self.traits.epsilon)  # type: ignore[return-value]

    def _mask(self, window: int) -> Tensor | None:
        """What each token of a row sees; None where that is all before it."""
        length = self.batch.longest
        if not window or window >= length:
            return None
        return self._causal(length).triu(1 - window)

    def _causal(self, length: int) -> Tensor:
        return torch.ones(length, length, dtype=torch.bool, device=self.batch.tokens.device).tril()


def _repeated(x: Tensor, q: Tensor) -> Tensor:
    """Keys or values once for each head that shares them."""
    return x.repeat_interleave(q.shape[1] // x.shape[1], 1)


class _Norm(torch.autograd.Function):
    """torch's own keeps three times as much for the backward pass, and gives the scale a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, epsilon: float) -> Tensor:
        size = x.shape[-1]
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(size).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, scale, inverse)
        return (x * inverse).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, scale, inverse = ctx.saved_tensors
        g = gradients[0] * scale
        along = (g * x).sum(-1, keepdim=True).mul_(inverse.pow(3)).div_(x.shape[-1])
        return g.mul_(inverse).addcmul_(x, along, value=-1), None, None


def gated(both: Tensor, activation: str) -> Tensor:
    """activation(gate) · up, of (N, gate and up side by side)."""
    return _Gated.apply(both, activation)  # type: ignore[return-value]


class _Gated(torch.autograd.Function):
    """Keeps only what comes in."""

    @staticmethod
    def forward(ctx: Any, both: Tensor, activation: str) -> Tensor:
        ctx.activation = activation
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, -1)
        return _activated(gate, activation).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (both,) = ctx.saved_tensors
        gate, up = both.chunk(2, -1)
        out = torch.empty_like(both)
        of_gate, of_up = out.chunk(2, -1)
        torch.mul(_activated(gate, ctx.activation), gradients[0], out=of_up)
        passed = gradients[0] * up
        if ctx.activation == "gelu":
            torch.ops.aten.gelu_backward.grad_input(passed, gate, approximate="tanh", grad_input=of_gate)
        else:
            torch.ops.aten.silu_backward.grad_input(passed, gate, grad_input=of_gate)
        return out, None


def _activated(x: Tensor, activation: str) -> Tensor:
    return functional.gelu(x, approximate="tanh") if activation == "gelu" else functional.silu(x)


def rotations(traits: Traits, rope: Rope, factors: Tensor | None, positions: Tensor) -> Tensor:
    """The complex numbers that turn each pair, (N, 1, rotated/2), with angles as ggml_rope_cache_init computes them."""
    pairs = traits.rotated // 2
    step = torch.tensor(rope.base ** (-2 / traits.rotated), dtype=torch.float32)
    angles = [positions.float()]
    for _ in range(pairs - 1):
        angles.append(angles[-1] * step)  # as ggml rounds
    far = torch.stack(angles, -1)
    if factors is not None:
        far = far / factors
    near = far * rope.scale
    if traits.yarn_context:
        ramp = _yarn_ramp(traits, rope, pairs).to(far.device)
        near = near * (1 - ramp) + far * ramp
    return torch.polar(torch.full_like(near, rope.magnitude), near)[:, None]


def _yarn_ramp(traits: Traits, rope: Rope, pairs: int) -> Tensor:
    """How much of each pair keeps its own angle: ggml's rope_yarn_ramp."""

    def turning(turns: float) -> float:
        return traits.rotated * math.log(traits.yarn_context / (turns * 2 * math.pi)) / (2 * math.log(rope.base))

    low = max(0.0, math.floor(turning(YARN_FAST)))
    high = min(traits.rotated - 1.0, math.ceil(turning(YARN_SLOW)))
    return 1 - ((torch.arange(pairs) - low) / max(0.001, high - low)).clamp(0, 1)


def rotate(x: Tensor, turns: Tensor, rotation: str) -> Tensor:
    """(N, heads, size) with the pairs of its first numbers turned.

    Where halves of a head are turned, its numbers come out as pairs: a product of queries and keys is the same.
    """
    rotated = 2 * turns.shape[-1]
    first = x[..., :rotated]
    pairs = first.unflatten(-1, (-1, 2)) if rotation == "adjacent" else first.unflatten(-1, (2, -1)).mT.contiguous()
    turned = torch.view_as_real(torch.view_as_complex(pairs) * turns).flatten(-2)
    return turned if rotated == x.shape[-1] else torch.cat((turned, x[..., rotated:]), -1)
