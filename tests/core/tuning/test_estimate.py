"""What a training will take: the figures against what is counted by hand, and what is chosen from them."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from core.errors import UserError
from core.tuning import estimate
from core.tuning.batches import Order
from core.tuning.decoder import Decoder
from core.tuning.estimate import Saved, Speed, Work
from core.tuning.lora import Lora
from core.tuning.records import Estimate, Recipe
from core.tuning.tokens import Text
from core.tuning.weights import Weights
from tests.data.gguf_architectures import write_model

GROUPS = [(Text((1,) * 101, 61),)] * 20
WORK = Work.of(GROUPS, GROUPS[:5], Recipe(batch=4, context=256))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    write_model(path, "llama", kind="Q4_K")
    return Decoder(Weights(path))


def reckoned(decoder: Decoder, monkeypatch: pytest.MonkeyPatch, free: int = 1 << 34, **recipe: Any) -> Estimate:
    """An estimate where `free` bytes are free, and a layer takes 1 ms a token forward, 2 ms back, the head 3 ms."""
    monkeypatch.setattr(estimate, "free", lambda _: free)
    monkeypatch.setattr(estimate, "measure", lambda *_: Speed(1e-3, 2e-3, 3e-3))
    monkeypatch.setattr(estimate, "saved", lambda *_: Saved(20_000.0, 0.0))
    wanted = Recipe(batch=4, context=256, **recipe)
    lora = Lora(decoder.weights.linears, wanted.rank, wanted.alpha)
    return estimate.estimate(decoder, lora, wanted, WORK, Order(20, 4, wanted.epochs, 0), 0)


def test_what_there_is_to_read_is_counted() -> None:
    assert (WORK.tokens, WORK.answers, WORK.held_out) == (2000, 800, 500)
    assert (WORK.longest, WORK.longest_text, WORK.learned) == (256, 101, 102)
    assert Work.of(GROUPS, (), Recipe(packing=False)).longest == 100
    pair = [(Text((1,) * 201, 9), Text((1,) * 101, 9))]
    assert Work.of(pair, (), Recipe(context=201, objective="dpo", batch=1)).longest == 300


def test_the_time_is_that_of_all_steps_and_looks(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    took = reckoned(decoder, monkeypatch, epochs=3.0, evaluations=4)
    epoch = 2000 * 2 * 3e-3 + 800 * 3e-3
    assert took.seconds == pytest.approx(3 * epoch + 13 * 500 * 2 * 1e-3)
    assert took.tokens_per_second == pytest.approx(2000 / epoch)
    assert (took.tokens, took.layers, took.device, took.dtype) == (2000, 2, "cpu", "float32")


def test_with_little_memory_activations_are_computed_again(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept, and layers are unpacked, only where there is memory for that."""
    rich = reckoned(decoder, monkeypatch)
    assert (rich.recompute, rich.dense_layers, rich.fits) == (False, 2, True)
    dense = sum(out * inner for out, inner in decoder.weights.linears.values()) * 4
    plain = rich.memory - dense
    bare = reckoned(decoder, monkeypatch, free=plain)
    assert (bare.recompute, bare.dense_layers, bare.memory, bare.fits) == (False, 0, plain, True)
    assert not reckoned(decoder, monkeypatch, free=1 << 20).fits


def test_a_larger_adapter_takes_twenty_bytes_a_parameter(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 32 bits: itself, its gradient, two moments, and the best so far."""
    small, large = (reckoned(decoder, monkeypatch, rank=rank).memory for rank in (8, 16))
    assert large - small == 20 * 8 * sum(out + inner for out, inner in decoder.weights.linears.values())


def test_what_autograd_keeps_is_counted_by_token(decoder: Decoder) -> None:
    """The operand of each of the seven products at least, which are of 32 bits."""
    lora = Lora(decoder.weights.linears, 4, 8.0)
    shallow = Decoder(decoder.weights)
    shallow.traits = replace(decoder.traits, layers=1)
    kept = estimate.saved(shallow, lora)
    assert 4 * (3 * 256 + 512) < kept.token < 40 * 4 * 512  # of attention, its output, the gate, and what comes down
    assert kept.squared == 0
    speed = estimate.measure(shallow, lora, 64)
    assert min(speed.forward, speed.backward, speed.head) > 0
    assert all(parameter.grad is None for parameter in lora.parameters())


def test_a_device_or_a_type_that_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert estimate.chosen_dtype("bfloat16", "cpu") == "bfloat16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert estimate.chosen_device("auto") == "cpu"
    for name in ("cuda", "mps", "abacus"):
        with pytest.raises(UserError, match=f"no device “{name}”"):
            estimate.chosen_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert estimate.chosen_device("auto") == "cuda"


@pytest.mark.parametrize(
    ("exact", "half", "chosen"), [(1.0, 0.5, "bfloat16"), (1.0, 0.9, "float32"), (1.0, 3.0, "float32")]
)
def test_the_faster_type_is_chosen(monkeypatch: pytest.MonkeyPatch, exact: float, half: float, chosen: str) -> None:
    times = {torch.float32: exact, torch.bfloat16: half}
    monkeypatch.setattr(estimate, "_gemm", lambda dtype, _: times[dtype])
    assert estimate.chosen_dtype("auto", "cpu") == chosen


def test_the_peak_is_of_what_was_touched() -> None:
    device = torch.device("cpu")
    estimate.forget_peak(device)
    before = estimate.peak(device)
    torch.ones(50_000_000)
    assert 150e6 < estimate.peak(device) - before < 260e6
