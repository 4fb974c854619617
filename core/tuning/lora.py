"""The parameters of a LoRA adapter (arXiv 2106.09685): two thin matrices beside each matrix of the model."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class Lora(torch.nn.Module):
    """Adds `scale` · B · A to each matrix of `shapes` (name → (out, in)); B begins as zero, so that nothing changes.

    Dropout, in training mode only, draws from torch's own generator.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        rank: int,
        alpha: float,
        rank_stabilised: bool = False,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.scale = alpha / math.sqrt(rank) if rank_stabilised else alpha / rank
        self._places = {name: index for index, name in enumerate(shapes)}
        self._a, self._b = torch.nn.ParameterList(), torch.nn.ParameterList()
        for out, inner in shapes.values():
            a = torch.empty(rank, inner)
            torch.nn.init.kaiming_uniform_(a, a=math.sqrt(5), generator=generator)
            self._a.append(torch.nn.Parameter(a))
            self._b.append(torch.nn.Parameter(torch.zeros(out, rank)))

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def a(self, name: str) -> Tensor:
        """(rank, in)"""
        return self._a[self._places[name]]

    def b(self, name: str) -> Tensor:
        """(out, rank)"""
        return self._b[self._places[name]]

    def tensors(self) -> dict[str, Tensor]:
        """The parameters by the names that they have in an adapter's file; not copies."""
        pairs = (
            ((f"{name}.lora_a", self.a(name)) for name in self._places),
            ((f"{name}.lora_b", self.b(name)) for name in self._places),
        )
        return {name: parameter.detach() for each in zip(*pairs, strict=True) for name, parameter in each}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `tensors` gave. Raises KeyError, or RuntimeError where a shape is another."""
        with torch.no_grad():
            for name, parameter in self.tensors().items():
                parameter.copy_(tensors[name])
