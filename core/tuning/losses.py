"""What is made small: the cross-entropy of learned tokens, in chunks, and the preference of one answer over another."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 1 << 24  # logits at once: 64 MiB of them, and as much again for each of the two that their gradient takes

Head = Callable[[Tensor], Tensor]  # the logits of hidden states


def nll(hidden: Tensor, targets: Tensor, head: Head, vocabulary: int) -> Tensor:
    """The negative log-likelihood (nats) of each target after its hidden state.

    Never are there more than CHUNK logits: each chunk gives its likelihoods and, where they are wanted, their gradient,
    which needs nothing but its own row (as in Liger, arXiv 2410.10989), and is forgotten.
    """
    return _Nll.apply(hidden, targets, head, max(1, CHUNK // vocabulary))


class _Nll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, head: Head, rows: int) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        losses, gradients = [], []
        for states, answers in zip(hidden.split(rows), targets.split(rows), strict=True):
            states = states.detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                chunk = functional.cross_entropy(head(states), answers, reduction="none")
                if wanted:
                    gradients.append(torch.autograd.grad(chunk.sum(), states)[0])
            losses.append(chunk.detach())
        if wanted:
            ctx.save_for_backward(torch.cat(gradients))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors
        return gradients[0][:, None] * rows, None, None, None


def preference(chosen: Tensor, rejected: Tensor, references: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """DPO's loss of each pair (Rafailov et al., arXiv 2305.18290), and whether the chosen answer gained more.

    `chosen` and `rejected` are log-probabilities of whole answers, `references` (pairs, 2) those of the model without
    the adapter. Before the first step the loss is ln 2.
    """
    margin = (chosen - references[:, 0]) - (rejected - references[:, 1])
    return -functional.logsigmoid(beta * margin), margin > 0
