"""The weights of a model as they lie in its file, mapped and packed; and what multiplies with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.models.files import read_model
from core.models.gguf_header import read_header
from core.tuning import dequantise
from core.tuning.lora import Lora
from core.tuning.traits import MATRICES, read_traits

STRIP = 1 << 24  # numbers that are unpacked at once: a head of 152,000 tokens would take gigabytes
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

Stack = tuple[str, ...]  # names of matrices that have the same input


@dataclass(frozen=True)
class Packed:
    """A tensor as the file has it."""

    kind: str
    shape: tuple[int, ...]
    data: Tensor  # its bytes

    def parts(self, rows: int) -> "Iterator[Packed]":
        """The same, so many rows at a time."""
        row_bytes = self.data.numel() // self.shape[0]
        for start in range(0, self.shape[0], rows):
            stop = min(self.shape[0], start + rows)
            yield Packed(self.kind, (stop - start, self.shape[1]), self.data[start * row_bytes : stop * row_bytes])


@dataclass(frozen=True)
class Stacks:
    """The matrices of a layer; those of one input are multiplied as one."""

    qkv: Stack
    output: Stack
    gate_up: Stack
    down: Stack


class Weights:
    """The tensors of a model. `dtype` is that of the operands of matrix products: float32 or bfloat16.

    Raises UserError when the decoder does not know the model's architecture or types.
    """

    def __init__(self, path: Path, device: str = "cpu", dtype: str = "float32") -> None:
        self.traits = read_traits(path)
        self.device = torch.device(device)
        self.dtype = DTYPES[dtype]
        self._packed = {name: self._placed(tensor) for name, tensor in _mapped(path).items()}
        self._dense: dict[Stack, Tensor] = {}  # unpacked for good
        self._vectors: dict[str, Tensor] = {}
        self._buffer = torch.empty(0, dtype=self.dtype, device=self.device)
        self.linears: dict[str, tuple[int, int]] = {  # what may be adapted: (out, in)
            name: (tensor.shape[0], tensor.shape[1])
            for name, tensor in self._packed.items()
            if name.startswith("blk.") and name.split(".")[2] in MATRICES and name.endswith(".weight")
        }
        self.stacks = [self._stacks(layer) for layer in range(self.traits.layers)]

    def __contains__(self, name: str) -> bool:
        return name in self._packed

    @property
    def size(self) -> int:
        """Bytes of all tensors, as they are packed."""
        return sum(packed.data.numel() for packed in self._packed.values())

    @property
    def unpacks(self) -> bool:
        """Whether some matrix is not in the type of the products already."""
        return any(dequantise.PLAIN.get(self._packed[name].kind) != self.dtype for name in self.linears)

    def unpack(self, name: str) -> Tensor:
        """A tensor of its own, in the type of the products."""
        packed = self._packed[name]
        dense = torch.empty(packed.shape, dtype=self.dtype, device=self.device)
        dequantise.unpack(packed.data, packed.kind, dense)
        return dense

    def keep_dense(self, layers: int) -> None:
        """Keeps the matrices of just the first `layers` layers unpacked, which is faster and takes memory."""
        stacks = {stack for layer in self.stacks[:layers] for stack in vars(layer).values()}
        wanted = {stack for stack in stacks if self._plain(stack) is None}
        self._dense = {stack: dense for stack, dense in self._dense.items() if stack in wanted}
        for stack in wanted - self._dense.keys():
            dense = torch.empty(self.rows_of(stack), self.linears[stack[0]][1], dtype=self.dtype, device=self.device)
            self._unpack([self._packed[name] for name in stack], dense)
            self._dense[stack] = dense

    def shape(self, name: str) -> tuple[int, ...]:
        return self._packed[name].shape

    def rows_of(self, stack: Stack) -> int:
        return sum(self._packed[name].shape[0] for name in stack)

    def vector(self, name: str) -> Tensor | None:
        """A norm's weights, a bias or the like in float32; None where the model has none."""
        if name in self._packed and name not in self._vectors:
            packed = self._packed[name]
            vector = torch.empty(packed.shape, dtype=torch.float32, device=self.device)
            dequantise.unpack(packed.data, packed.kind, vector)
            self._vectors[name] = vector
        return self._vectors.get(name)

    def rows(self, name: str, which: Tensor) -> Tensor:
        """Some rows of a matrix in float32."""
        packed = self._packed[name]
        rows = torch.empty((len(which), packed.shape[1]), dtype=torch.float32, device=self.device)
        chosen = packed.data.view(packed.shape[0], -1).index_select(0, which)
        dequantise.unpack(chosen.view(-1), packed.kind, rows)
        return rows

    def strips(self, stack: Stack) -> Iterator[tuple[int, int, Tensor]]:
        """Matrices of one input, one below the other, in strips of rows: (start, stop, numbers).

        Each strip is valid until the next. They are cut alike whether they are kept unpacked or not: sums of them round
        alike, so that a run goes on with the same numbers where there is more memory than before, or less.
        """
        if (plain := self._plain(stack)) is not None:
            yield 0, len(plain), plain
            return
        dense, columns = self._dense.get(stack), self._packed[stack[0]].shape[1]
        for start, stop, parts in self._cuts(stack):
            if dense is not None:
                strip = dense[start:stop]
            else:
                strip = self._room(stop - start, columns)
                self._unpack(parts, strip)
            yield start, stop, strip

    def _plain(self, stack: Stack) -> Tensor | None:
        """A matrix as it lies in the file, where it is alone and in the type of the products."""
        packed = self._packed[stack[0]]
        if len(stack) > 1 or dequantise.PLAIN.get(packed.kind) != self.dtype:
            return None
        return packed.data.view(self.dtype).view(packed.shape)

    def _cuts(self, stack: Stack) -> Iterator[tuple[int, int, list[Packed]]]:
        """What of a stack is multiplied at once: (start, stop, tensors)."""
        whole = [self._packed[name] for name in stack]
        rows, columns = self.rows_of(stack), whole[0].shape[1]
        if rows * columns <= STRIP:
            yield 0, rows, whole
            return
        start = 0
        for part in chain.from_iterable(packed.parts(max(1, STRIP // columns)) for packed in whole):
            yield start, start + part.shape[0], [part]
            start += part.shape[0]

    def _room(self, rows: int, columns: int) -> Tensor:
        if self._buffer.numel() < rows * columns:
            self._buffer = torch.empty(rows * columns, dtype=self.dtype, device=self.device)
        return self._buffer[: rows * columns].view(rows, columns)

    def _unpack(self, parts: Sequence[Packed], out: Tensor) -> None:
        start = 0
        for packed in parts:
            dequantise.unpack(packed.data, packed.kind, out[start : start + packed.shape[0]])
            start += packed.shape[0]

    def multiply(self, stack: Stack, x: Tensor) -> Tensor:
        """x · Wᵀ in float32, for (N, in) in the type of the products."""
        rows = self.rows_of(stack)
        out: Tensor | None = None
        for start, stop, strip in self.strips(stack):
            if stop - start == rows:
                return (x @ strip.T).float()
            if out is None:
                out = torch.empty((len(x), rows), dtype=torch.float32, device=self.device)
            out[:, start:stop] = x @ strip.T
        assert out is not None
        return out

    def multiply_back(self, stack: Stack, gradient: Tensor) -> Tensor:
        """gradient · W in float32, for (N, out) in the type of the products."""
        out: Tensor | None = None
        for start, stop, strip in self.strips(stack):
            part = (gradient[:, start:stop] @ strip).float()
            out = part if out is None else out.add_(part)
        assert out is not None
        return out

    def _stacks(self, layer: int) -> Stacks:
        def stack(*names: str) -> Stack:
            return tuple(name for kind in names if (name := f"blk.{layer}.{kind}.weight") in self)

        return Stacks(
            qkv=stack("attn_qkv", "attn_q", "attn_k", "attn_v"),
            output=stack("attn_output"),
            gate_up=stack("ffn_gate", "ffn_up"),
            down=stack("ffn_down"),
        )

    def _placed(self, packed: Packed) -> Packed:
        return Packed(packed.kind, packed.shape, packed.data.to(self.device))


def _mapped(path: Path) -> dict[str, Packed]:
    """The tensors of all the model's files: their pages are read when they are looked at."""
    found: dict[str, Packed] = {}
    for part in read_model(path).parts:
        header = read_header(part)
        # Private: torch wants memory that could be written to.
        mapped = torch.from_numpy(np.memmap(part, np.uint8, "c"))
        for tensor in header.tensors:
            start = header.data + tensor.offset
            found[tensor.name] = Packed(tensor.type, tensor.shape, mapped[start : start + tensor.size])
    return found


def linear(weights: Weights, stack: Stack, x: Tensor, lora: Lora | None = None) -> Tensor:
    """x · Wᵀ + bias with the adapters of the matrices, side by side; x is (N, in), float32 comes out.

    The matrices are unpacked again in the backward pass: autograd would keep them. They get no gradient.
    """
    adapted = [name for name in stack if lora is not None and name in lora]
    if lora is None or not adapted:
        return _Linear.apply(x, weights, stack, 0.0)  # type: ignore[return-value]
    factors = [(lora.a(name), lora.b(name)) if name in lora else (None, None) for name in stack]
    if not (lora.dropout and lora.training):
        return _Linear.apply(x, weights, stack, lora.scale, *chain.from_iterable(factors))  # type: ignore[return-value]
    thinned = functional.dropout(x, lora.dropout)
    added = [
        x.new_zeros(len(x), weights.linears[name][0]) if a is None or b is None else thinned @ a.T @ b.T
        for name, (a, b) in zip(stack, factors, strict=True)
    ]
    return linear(weights, stack, x) + lora.scale * torch.cat(added, -1)


class _Linear(torch.autograd.Function):
    """The product of one operand with several matrices, of which nothing is kept, and with their adapters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Weights, stack: Stack, scale: float, *factors: Tensor | None) -> Tensor:
        operand = x.to(weights.dtype)
        y = weights.multiply(stack, operand)
        for name, part in _parts(weights, stack, y):
            bias = weights.vector(name.removesuffix("weight") + "bias")
            if bias is not None:
                part += bias
        found = [factor for factor in factors if factor is not None]
        low: Tensor | None = None
        if found:
            low = operand @ torch.cat([a.to(weights.dtype) for a in found[::2]]).T  # one product in place of three
            for part, of_part, b in _shares(weights, stack, y, low, factors):
                _add_product(part, of_part, b.T, scale)
        ctx.weights, ctx.stack, ctx.scale, ctx.adapted = weights, stack, scale, [f is not None for f in factors]
        ctx.save_for_backward(*([operand, low] if low is not None else []), *found)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weights: Weights = ctx.weights
        stack: Stack = ctx.stack
        g = gradients[0].to(weights.dtype)
        of_x = weights.multiply_back(stack, g) if ctx.needs_input_grad[0] else None
        if not any(ctx.adapted):
            return of_x, None, None, None, *(None for _ in ctx.adapted)
        operand, low, *found = ctx.saved_tensors  # only once: where it is computed again it lets go of them
        waiting = iter(found)
        factors = [next(waiting) if there else None for there in ctx.adapted]
        back = torch.empty_like(low)
        of_b: list[Tensor] = []
        for (part, of_part, b), into in zip(
            _shares(weights, stack, g, low, factors), back.split([len(a) for a in found[::2]], -1), strict=True
        ):
            torch.mm(part, b.to(weights.dtype), out=into)
            of_b.append((of_part.T @ part).T.float().mul_(ctx.scale))  # this way round it is several times as fast
        back *= ctx.scale
        of_a = (back.T @ operand).float().split([len(a) for a in found[::2]])
        if of_x is not None:
            _add_product(of_x, back, torch.cat(found[::2]), 1.0)
        waiting = chain.from_iterable(zip(of_a, of_b, strict=True))
        return of_x, None, None, None, *(next(waiting) if there else None for there in ctx.adapted)


def _parts(weights: Weights, stack: Stack, y: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What of (N, out) belongs to each of the matrices."""
    yield from zip(stack, y.split([weights.shape(name)[0] for name in stack], -1), strict=True)


def _shares(
    weights: Weights, stack: Stack, y: Tensor, low: Tensor, factors: Sequence[Tensor | None]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For each matrix that is adapted: what of `y` and of `low` (N, ranks) belongs to it, and its B."""
    start = 0
    for (_, part), a, b in zip(_parts(weights, stack, y), factors[::2], factors[1::2], strict=True):
        if a is not None and b is not None:
            yield part, low[:, start : start + len(a)], b
            start += len(a)


def _add_product(out: Tensor, left: Tensor, right: Tensor, scale: float) -> None:
    """out += scale · left · right; out is float32, and the product's operands are of the type of `left`."""
    if left.dtype == out.dtype:
        out.addmm_(left, right, alpha=scale)
    else:
        out.add_(left @ right.to(left.dtype), alpha=scale)
