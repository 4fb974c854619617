"""The losses against torch's own on logits that are there at once."""

import math

import pytest
import torch
from torch.nn import functional

from core.tuning import losses


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_cross_entropy_in_chunks_is_torchs_own(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    torch.manual_seed(0)
    head, weights = torch.randn(50, 8), torch.rand(23)
    hidden, targets = torch.randn(23, 8), torch.randint(0, 50, (23,))
    monkeypatch.setattr(losses, "CHUNK", chunk * 50)
    sizes: list[int] = []

    def logits(states: torch.Tensor) -> torch.Tensor:
        sizes.append(len(states))
        return torch.tanh(states @ head.T / 30) * 30

    ours, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    found = losses.nll(ours, targets, logits, 50)
    (found * weights).sum().backward()
    assert max(sizes) == min(chunk, 23)
    expected = functional.cross_entropy(torch.tanh(theirs @ head.T / 30) * 30, targets, reduction="none")
    (expected * weights).sum().backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_without_gradients_none_are_made() -> None:
    with torch.no_grad():
        found = losses.nll(torch.randn(5, 8, requires_grad=True), torch.arange(5), lambda states: states, 8)
    assert not found.requires_grad


def test_the_preference_is_that_of_the_paper() -> None:
    """−log σ(β((log π(y₁) − log ref(y₁)) − (log π(y₂) − log ref(y₂)))), by plain numbers."""
    chosen, rejected = torch.tensor([-5.0, -7.0]), torch.tensor([-6.0, -3.0])
    references = torch.tensor([[-5.5, -6.5], [-7.0, -9.0]])
    loss, gained = losses.preference(chosen, rejected, references, 0.1)
    margins = [(-5.0 + 5.5) - (-6.0 + 6.5), (-7.0 + 7.0) - (-3.0 + 9.0)]
    assert loss.tolist() == pytest.approx([-math.log(1 / (1 + math.exp(-0.1 * margin))) for margin in margins])
    assert loss[0].item() == pytest.approx(math.log(2))
    assert gained.tolist() == [False, False]
