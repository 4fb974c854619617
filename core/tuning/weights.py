"""The weights of a model as they lie in its file, mapped and packed; and what multiplies with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.models.files import read_model
from core.models.gguf_header import read_header
from core.tuning import dequantise
from core.tuning.lora import Lora
from core.tuning.traits import MATRICES, read_traits

STRIP = 1 << 24  # numbers that are unpacked at once: a head of 152,000 tokens would take gigabytes
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Packed:
    """A tensor as the file has it."""

    kind: str
    shape: tuple[int, ...]
    data: Tensor  # its bytes

    @property
    def row_bytes(self) -> int:
        return self.data.numel() // self.shape[0]


class Weights:
    """The tensors of a model. `dtype` is that of the operands of matrix products: float32 or bfloat16.

    Raises UserError when the decoder does not know the model's architecture or types.
    """

    def __init__(self, path: Path, device: str = "cpu", dtype: str = "float32") -> None:
        self.traits = read_traits(path)
        self.device = torch.device(device)
        self.dtype = DTYPES[dtype]
        self._packed = {name: self._placed(tensor) for name, tensor in _mapped(path).items()}
        self._dense: dict[str, Tensor] = {}  # unpacked for good
        self._vectors: dict[str, Tensor] = {}
        self._buffer = torch.empty(0, dtype=self.dtype, device=self.device)
        self.linears: dict[str, tuple[int, int]] = {  # what may be adapted: (out, in)
            name: (tensor.shape[0], tensor.shape[1])
            for name, tensor in self._packed.items()
            if name.startswith("blk.") and name.split(".")[2] in MATRICES and name.endswith(".weight")
        }

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
        """Keeps the matrices of the first `layers` layers unpacked, which is faster and takes memory."""
        wanted = {name for name in self.linears if int(name.split(".")[1]) < layers}
        self._dense = {name: dense for name, dense in self._dense.items() if name in wanted}
        for name in sorted(wanted - self._dense.keys()):
            self._dense[name] = self.unpack(name)

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

    def strips(self, name: str) -> Iterator[tuple[int, int, Tensor]]:
        """A matrix in strips of its rows, (start, stop, numbers); each is valid until the next."""
        packed = self._packed[name]
        rows, columns = packed.shape
        if name in self._dense:
            yield 0, rows, self._dense[name]
            return
        if dequantise.PLAIN.get(packed.kind) == self.dtype:
            yield 0, rows, packed.data.view(self.dtype).view(rows, columns)
            return
        step = max(1, min(rows, STRIP // columns))
        if self._buffer.numel() < step * columns:
            self._buffer = torch.empty(step * columns, dtype=self.dtype, device=self.device)
        for start in range(0, rows, step):
            stop = min(rows, start + step)
            strip = self._buffer[: (stop - start) * columns].view(stop - start, columns)
            part = packed.data[start * packed.row_bytes : stop * packed.row_bytes]
            dequantise.unpack(part, packed.kind, strip)
            yield start, stop, strip

    def multiply(self, name: str, x: Tensor) -> Tensor:
        """x · Wᵀ in float32, for (N, in) in the type of the products."""
        rows = self._packed[name].shape[0]
        out: Tensor | None = None
        for start, stop, strip in self.strips(name):
            if stop - start == rows:
                return (x @ strip.T).float()
            if out is None:
                out = torch.empty((len(x), rows), dtype=torch.float32, device=self.device)
            out[:, start:stop] = x @ strip.T
        assert out is not None
        return out

    def multiply_back(self, name: str, gradient: Tensor, out: Tensor | None) -> Tensor:
        """`out` + gradient · W in float32, for (N, out) in the type of the products."""
        for start, stop, strip in self.strips(name):
            part = gradient[:, start:stop]
            if out is None:
                out = (part @ strip).float()
            elif self.dtype == torch.float32:
                out.addmm_(part, strip)
            else:
                out += part @ strip
        assert out is not None
        return out

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


def linear(weights: Weights, names: Sequence[str], x: Tensor, lora: Lora | None = None) -> list[Tensor]:
    """x · Wᵀ + bias for each of the matrices, with their adapters; x is (N, in), float32 comes out.

    The matrices are unpacked again in the backward pass: autograd would keep them. They get no gradient.
    """
    adapted = [name for name in names if lora is not None and name in lora]
    dropped = lora is not None and bool(adapted) and lora.dropout > 0 and lora.training
    factors: list[Tensor | None] = []
    for name in names:
        inside = lora is not None and name in lora and not dropped
        factors += [lora.a(name), lora.b(name)] if inside and lora is not None else [None, None]
    outputs: list[Tensor] = list(_Linear.apply(x, weights, tuple(names), lora.scale if lora else 0.0, *factors))  # type: ignore[arg-type]
    if dropped and lora is not None:
        thinned = torch.nn.functional.dropout(x, lora.dropout)
        outputs = [
            y + lora.scale * ((thinned @ lora.a(name).T) @ lora.b(name).T) if name in adapted else y
            for name, y in zip(names, outputs, strict=True)
        ]
    return outputs


class _Linear(torch.autograd.Function):
    """Several products with one operand, which is kept once; of the weights nothing is kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weights: Weights, names: tuple[str, ...], scale: float, *factors: Tensor | None
    ) -> tuple[Tensor, ...]:
        operand = x.to(weights.dtype)
        outputs: list[Tensor] = []
        reduced: list[Tensor | None] = []
        for name, a, b in zip(names, factors[::2], factors[1::2], strict=True):
            y = weights.multiply(name, operand)
            bias = weights.vector(name.removesuffix("weight") + "bias")
            if bias is not None:
                y += bias
            low: Tensor | None = None
            if a is not None and b is not None:
                low = operand @ a.to(weights.dtype).T
                if weights.dtype == torch.float32:
                    y.addmm_(low, b.T, alpha=scale)
                else:
                    y.add_(low @ b.to(weights.dtype).T, alpha=scale)
            reduced.append(low)
            outputs.append(y)
        ctx.weights, ctx.names, ctx.scale = weights, names, scale
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(operand, *reduced, *factors)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        weights: Weights = ctx.weights
        names: tuple[str, ...] = ctx.names
        operand, *saved = ctx.saved_tensors
        reduced, factors = saved[: len(names)], saved[len(names) :]
        of_x: Tensor | None = None
        of_factors: list[Tensor | None] = []
        for name, low, a, b, gradient in zip(names, reduced, factors[::2], factors[1::2], gradients, strict=True):
            of_a = of_b = None
            if gradient is not None:
                g = gradient.to(weights.dtype)
                if ctx.needs_input_grad[0]:
                    of_x = weights.multiply_back(name, g, of_x)
                if a is not None:
                    back = (g @ b.to(weights.dtype)) * ctx.scale
                    of_a = (back.T @ operand).float()
                    of_b = (g.T @ low).float() * ctx.scale
                    if of_x is not None:
                        of_x += back @ a.to(weights.dtype)
            of_factors += [of_a, of_b]
        return of_x, None, None, None, *of_factors
