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
from core.tuning.weights import Weights, linear


@dataclass(frozen=True)
class Batch:
    """Texts one after the other. None sees another: for attention each is a row of its own, padded at its end."""

    tokens: Tensor  # (N,)
    positions: Tensor  # (N,), within its text
    lengths: tuple[int, ...]
    places: Tensor | None  # (N,), of each token in the rows laid out flat; None where no row is padded

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]], device: str | torch.device = "cpu") -> "Batch":
        lengths = tuple(len(text) for text in texts)
        longest = max(lengths)
        positions = torch.cat([torch.arange(length) for length in lengths])
        places: Tensor | None = None
        if min(lengths) < longest:
            places = torch.cat([torch.arange(length) + row * longest for row, length in enumerate(lengths)]).to(device)
        tokens = torch.tensor([token for text in texts for token in text], dtype=torch.int64)
        return cls(tokens.to(device), positions.to(device), lengths, places)

    @property
    def longest(self) -> int:
        return max(self.lengths)

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
        pass_ = _Pass(self.weights, batch, lora)
        for layer in range(self.traits.layers):
            if recompute and torch.is_grad_enabled():
                x = checkpoint(pass_.layer, x, layer, use_reentrant=False)
            else:
                x = pass_.layer(x, layer)
        return pass_.norm(x, "output_norm.weight")

    def logits(self, hidden: Tensor) -> Tensor:
        """(rows, vocabulary) in float32."""
        head = "token_embd.weight" if self.traits.tied else "output.weight"
        logits = linear(self.weights, [head], hidden)[0]
        cap = self.traits.output_cap
        return torch.tanh(logits / cap) * cap if cap else logits


class _Pass:
    """One pass over a batch: what all layers have in common."""

    def __init__(self, weights: Weights, batch: Batch, lora: Lora | None) -> None:
        self.weights, self.batch, self.lora = weights, batch, lora
        self.traits = weights.traits
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
        fed = self.feed(self.norm(x, block + "ffn_norm.weight"), block)
        return x + self.norm(fed, block + "post_ffw_norm.weight")

    def attention(self, x: Tensor, layer: int) -> Tensor:
        block, traits = f"blk.{layer}.", self.traits
        sizes = (
            (traits.heads, traits.head_size),
            (traits.kv_heads, traits.head_size),
            (traits.kv_heads, traits.value_size),
        )
        if f"{block}attn_qkv.weight" in self.weights:
            both = self.linear(x, block + "attn_qkv")[0].split([heads * size for heads, size in sizes], dim=-1)
        else:
            both = self.linear(x, block + "attn_q", block + "attn_k", block + "attn_v")
        q, k, v = (part.unflatten(-1, size) for part, size in zip(both, sizes, strict=True))
        q, k = self.norm(q, block + "attn_q_norm.weight"), self.norm(k, block + "attn_k_norm.weight")
        turns = self.turns.get(traits.ropes[layer])
        if turns is not None:
            q, k = rotate(q, turns, traits), rotate(k, turns, traits)
        q, k, v = (self.batch.square(part).transpose(1, 2) for part in (q, k, v))
        mixed = self._attend(q, k, v, self.masks[traits.windows[layer]])
        return self.linear(self.batch.flat(mixed.transpose(1, 2)).flatten(1), block + "attn_output")[0]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        scale, cap = self.traits.attention_scale, self.traits.attention_cap
        if not cap:
            return functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
            )
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = torch.tanh(q @ k.mT * (scale / cap)) * cap
        if mask is None:
            mask = self._causal(q.shape[2])
        return scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v

    def feed(self, x: Tensor, block: str) -> Tensor:
        if f"{block}ffn_gate.weight" in self.weights:
            gate, up = self.linear(x, block + "ffn_gate", block + "ffn_up")
        else:
            gate, up = self.linear(x, block + "ffn_up")[0].chunk(2, dim=-1)
        if self.traits.activation == "gelu":
            gated = functional.gelu(gate, approximate="tanh") * up
        else:
            gated = functional.silu(gate) * up
        return self.linear(gated, block + "ffn_down")[0]

    def linear(self, x: Tensor, *names: str) -> list[Tensor]:
        return linear(self.weights, [f"{name}.weight" for name in names], x, self.lora)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Divided by its root mean square and scaled; as it is where the model has no such norm."""
        scale = self.weights.vector(name)
        return x if scale is None else functional.rms_norm(x, scale.shape, scale, self.traits.epsilon)

    def _mask(self, window: int) -> Tensor | None:
        """What each token of a row sees; None where that is all before it."""
        length = self.batch.longest
        if not window or window >= length:
            return None
        return self._causal(length).triu(1 - window)

    def _causal(self, length: int) -> Tensor:
        return torch.ones(length, length, dtype=torch.bool, device=self.batch.tokens.device).tril()


def rotations(traits: Traits, rope: Rope, factors: Tensor | None, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each token's angles, (N, 1, rotated/2), as ggml_rope_cache_init computes them."""
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
    return near.cos()[:, None] * rope.magnitude, near.sin()[:, None] * rope.magnitude


def _yarn_ramp(traits: Traits, rope: Rope, pairs: int) -> Tensor:
    """How much of each pair keeps its own angle: ggml's rope_yarn_ramp."""

    def turning(turns: float) -> float:
        return traits.rotated * math.log(traits.yarn_context / (turns * 2 * math.pi)) / (2 * math.log(rope.base))

    low = max(0.0, math.floor(turning(YARN_FAST)))
    high = min(traits.rotated - 1.0, math.ceil(turning(YARN_SLOW)))
    return 1 - ((torch.arange(pairs) - low) / max(0.001, high - low)).clamp(0, 1)


def rotate(x: Tensor, turns: tuple[Tensor, Tensor], traits: Traits) -> Tensor:
    """(N, heads, size) with the pairs of its first numbers turned."""
    cos, sin = turns
    turned, rest = x[..., : traits.rotated], x[..., traits.rotated :]
    if traits.rotation == "adjacent":
        first, second = turned[..., 0::2], turned[..., 1::2]
        turned = torch.stack((first * cos - second * sin, first * sin + second * cos), -1).flatten(-2)
    else:
        first, second = turned.chunk(2, dim=-1)
        turned = torch.cat((first * cos - second * sin, first * sin + second * cos), -1)
    return torch.cat((turned, rest), -1) if rest.shape[-1] else turned
