"""What training relies on: gradients, texts that do not see each other, the base left as it is, less memory."""

import pytest
import torch
from torch import Tensor

from core.tuning import weights as weights_module
from core.tuning.decoder import Batch, Decoder
from core.tuning.lora import Lora
from core.tuning.weights import Weights, linear
from tests.core.tuning.conftest import Write
from tests.core.tuning.variants import some_lora, some_tokens

LENGTHS = (7, 19, 12)


def texts(*lengths: int) -> list[list[int]]:
    return [some_tokens(length, seed=length) for length in lengths]


def states(decoder: Decoder, *rows: list[int], lora: Lora | None = None) -> list[Tensor]:
    with torch.no_grad():
        hidden = decoder.hidden(Batch.of(rows), lora)
    return list(hidden.split([len(row) for row in rows]))


def gradients(decoder: Decoder, lora: Lora, batch: Batch, recompute: bool = False) -> list[Tensor]:
    lora.zero_grad()
    hidden = decoder.hidden(batch, lora, recompute)
    decoder.logits(hidden[::3]).logsumexp(-1).sum().backward()
    return [parameter.grad.clone() for parameter in lora.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("variant", ["llama", "gemma2", "gemma3", "phi3, long"])
def test_that_texts_in_a_batch_do_not_see_each_other(written: Write, variant: str) -> None:
    decoder = Decoder(Weights(written(variant)))
    lora = some_lora(decoder.weights)
    rows = texts(*LENGTHS)
    together = states(decoder, *rows, lora=lora)
    for row, found in zip(rows, together, strict=True):
        (alone,) = states(decoder, row, lora=lora)
        assert (found - alone).abs().max() <= 1e-5 * alone.abs().max()
    edited = states(decoder, rows[0], some_tokens(LENGTHS[1], seed=99), rows[2], lora=lora)
    assert torch.equal(edited[0], together[0])
    assert torch.equal(edited[2], together[2])
    assert not torch.equal(edited[1], together[1])


def test_that_gradients_stay_within_their_text(written: Write) -> None:
    decoder = Decoder(Weights(written("llama")))
    batch = Batch.of(texts(*LENGTHS))
    noise = torch.zeros(len(batch.tokens), decoder.traits.width, requires_grad=True)
    hidden = decoder.hidden(batch, noise=noise)
    hidden.split(LENGTHS)[1][4].sum().backward()
    assert noise.grad is not None
    reached = noise.grad.abs().sum(-1) > 0
    assert reached.nonzero().flatten().tolist() == list(range(LENGTHS[0], LENGTHS[0] + 5))  # its own past


def test_that_later_tokens_change_nothing_before_them(written: Write) -> None:
    decoder = Decoder(Weights(written("qwen3")))
    row = some_tokens(20)
    (whole,), (edited,) = states(decoder, row), states(decoder, [*row[:12], *some_tokens(8, seed=3)])
    assert torch.equal(whole[:12], edited[:12])
    assert not torch.equal(whole[12:], edited[12:])


def test_that_without_an_adapter_it_is_the_model_itself(written: Write) -> None:
    decoder = Decoder(Weights(written("llama", kind="Q4_K")))
    row = some_tokens(16)
    (base,) = states(decoder, row)
    fresh = Lora(decoder.weights.linears, 4, 8.0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(states(decoder, row, lora=fresh)[0], base)  # B is zero
    trained = some_lora(decoder.weights)
    assert not torch.equal(states(decoder, row, lora=trained)[0], base)
    trained.scale = 0.0
    assert torch.equal(states(decoder, row, lora=trained)[0], base)
    assert torch.equal(states(decoder, row)[0], base)


@pytest.mark.parametrize("variant", ["llama", "gemma2"])
def test_that_computing_again_gives_the_same_gradients(written: Write, variant: str) -> None:
    decoder = Decoder(Weights(written(variant)))
    lora = some_lora(decoder.weights)
    batch = Batch.of(texts(*LENGTHS))
    kept, again = gradients(decoder, lora, batch), gradients(decoder, lora, batch, recompute=True)
    assert len(kept) == len(list(lora.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))


def test_that_dropout_is_drawn_once_when_computing_again(written: Write) -> None:
    decoder = Decoder(Weights(written("llama")))
    lora = some_lora(decoder.weights, dropout=0.5)
    batch = Batch.of(texts(9))
    torch.manual_seed(1)
    kept = gradients(decoder, lora, batch)
    torch.manual_seed(1)
    again = gradients(decoder, lora, batch, recompute=True)
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))
    assert not torch.equal(kept[0], gradients(decoder, lora, batch)[0])
    lora.eval()
    plain = some_lora(decoder.weights)
    assert torch.equal(states(decoder, some_tokens(9), lora=lora)[0], states(decoder, some_tokens(9), lora=plain)[0])


@pytest.mark.parametrize("variant", ["llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3, partial", "smollm3"])
def test_that_the_gradient_is_the_slope(written: Write, variant: str) -> None:
    """Along a random direction, by differences of the loss itself."""
    decoder = Decoder(Weights(written(variant)))
    lora = some_lora(decoder.weights)
    batch = Batch.of(texts(11, 18))
    pull = torch.randn(29, decoder.traits.width, generator=torch.Generator().manual_seed(2))

    def loss() -> float:
        with torch.no_grad():
            return float((decoder.hidden(batch, lora).double() * pull).sum())

    (decoder.hidden(batch, lora) * pull).sum().backward()
    generator = torch.Generator().manual_seed(3)
    ways = [torch.randn(one.shape, generator=generator) for one in lora.parameters()]
    slope = sum(float((one.grad * way).sum()) for one, way in zip(lora.parameters(), ways, strict=True))  # type: ignore[operator]
    step = 2e-4
    found: list[float] = []
    for sign in (1, -2):
        with torch.no_grad():
            for one, way in zip(lora.parameters(), ways, strict=True):
                one += sign * step * way
        found.append(loss())
    assert (found[0] - found[1]) / (2 * step) == pytest.approx(slope, rel=5e-3)


@pytest.mark.parametrize("kind", ["F32", "Q4_K"])
@pytest.mark.parametrize("strip", [1 << 24, 1 << 14])
def test_the_gradients_of_a_stack_of_packed_matrices(
    written: Write, kind: str, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against dense numbers of 64 bits, in one piece and in strips; one of the matrices has no adapter."""
    monkeypatch.setattr(weights_module, "STRIP", strip)
    weights = Weights(written("qwen2", kind=kind))
    stack = weights.stacks[1].qkv
    lora = some_lora(weights)
    lora._places.pop(stack[1])
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(30, 256, generator=generator, requires_grad=True)
    y = linear(weights, stack, x, lora)
    pull = torch.randn(y.shape, generator=generator)
    wanted = [x, *(factor for name in (stack[0], stack[2]) for factor in (lora.a(name), lora.b(name)))]
    found = torch.autograd.grad(y, wanted, pull)
    exact = [one.detach().double().requires_grad_() for one in wanted]
    parts = []
    for name, (a, b) in zip(stack, ((exact[1], exact[2]), (None, None), (exact[3], exact[4])), strict=True):
        bias = weights.vector(name.removesuffix("weight") + "bias")
        assert bias is not None
        parts.append(exact[0] @ weights.unpack(name).double().T + bias)
        if a is not None and b is not None:
            parts[-1] = parts[-1] + lora.scale * (exact[0] @ a.T @ b.T)
    known = torch.cat(parts, -1)
    assert (y - known).norm() < 1e-6 * known.norm()
    for one, other in zip(found, torch.autograd.grad(known, exact, pull.double()), strict=True):
        assert (one - other).norm() < 1e-6 * other.norm()


def test_that_nothing_dense_is_kept_for_the_backward_pass(written: Write) -> None:
    weights = Weights(written("llama", kind="Q4_K"))
    x = torch.randn(2, 256, requires_grad=True)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda t: t):
        linear(weights, weights.stacks[0].gate_up, x, some_lora(weights))
    assert sum(kept) < 256 * 512  # of one of the two matrices


def test_that_kept_layers_give_the_same_numbers(written: Write) -> None:
    weights = Weights(written("llama", kind="Q6_K"))
    decoder, row = Decoder(weights), some_tokens(16)
    (packed,) = states(decoder, row)
    weights.keep_dense(1)
    assert torch.equal(states(decoder, row)[0], packed)
    assert len(weights._dense) == 4
    weights.keep_dense(0)
    assert not weights._dense


def test_that_bfloat16_is_near(written: Write) -> None:
    path = written("llama", kind="Q4_K")
    row = some_tokens(32)
    exact, near = Decoder(Weights(path)), Decoder(Weights(path, dtype="bfloat16"))
    (a,), (b,) = states(exact, row), states(near, row)
    assert 1e-4 < (a - b).norm() / a.norm() < 0.03
    found = gradients(near, some_lora(near.weights), Batch.of([row]))
    known = gradients(exact, some_lora(exact.weights), Batch.of([row]))
    assert all(one.dtype == torch.float32 for one in found)
    off = sum(float((one - other).square().sum()) for one, other in zip(found, known, strict=True))
    assert off < 0.05**2 * sum(float(one.square().sum()) for one in known)


def test_the_parameters_of_an_adapter(written: Write) -> None:
    shapes = {"blk.0.attn_q.weight": (8, 16), "blk.0.ffn_down.weight": (16, 24)}
    first, second = (Lora(shapes, 4, 8.0, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert list(first.tensors()) == [f"{name}.lora_{part}" for name in shapes for part in "ab"]
    assert [tuple(one.shape) for one in first.tensors().values()] == [(4, 16), (8, 4), (4, 24), (16, 4)]
    assert all(torch.equal(one, second.tensors()[name]) for name, one in first.tensors().items())
    bound = 16**-0.5  # Kaiming's for a slope of √5
    assert 0.8 * bound < first.a("blk.0.attn_q.weight").abs().max() <= bound
    assert not first.b("blk.0.attn_q.weight").any()
    assert (first.scale, Lora(shapes, 4, 8.0, rank_stabilised=True).scale) == (2.0, 4.0)
    other = Lora(shapes, 4, 8.0, generator=torch.Generator().manual_seed(8))
    other.load(first.tensors())
    assert all(torch.equal(one, other.tensors()[name]) for name, one in first.tensors().items())
    assert sum(parameter.numel() for parameter in other.parameters()) == 4 * (8 + 16 + 16 + 24)
