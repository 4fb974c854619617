"""Steps against a plain loop in torch with dense weights, one text at a time and torch's own optimiser."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.tuning import weights
from core.tuning.decoder import Decoder
from core.tuning.lora import Lora
from core.tuning.records import Recipe
from core.tuning.tokens import RATIONALE, Group, Text
from core.tuning.trainer import Shares, Trainer, learning_rate
from core.tuning.weights import Weights
from tests.core.tuning import plain
from tests.data.gguf_tiny import write_tiny

STEPS = 6
RECIPE = Recipe(rank=4, alpha=8.0, learning_rate=5e-3, weight_decay=0.1, clip=0.5, context=64, warmup=0.3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf")


def made(path: Path, recipe: Recipe = RECIPE, dtype: str = "float32", **options: Any) -> Trainer:
    decoder = Decoder(Weights(path, dtype=dtype))
    generator = torch.Generator().manual_seed(recipe.seed)
    shapes = decoder.weights.linears
    lora = Lora(shapes, recipe.rank, recipe.alpha, recipe.rank_stabilised, recipe.dropout, generator)
    return Trainer(decoder, lora, recipe, STEPS, **options)


def text(chance: Random, tokens: int = 0, task: int = 0) -> Text:
    length = tokens or chance.randint(6, 40)
    return Text(tuple(chance.randrange(400) for _ in range(length)), chance.randint(1, length - 3), task)


def singles(seed: int, count: int = 7) -> list[Group]:
    chance = Random(seed)
    return [(text(chance),) for _ in range(count)]


def two_tasks(seed: int) -> list[Group]:
    chance = Random(seed)
    return [(text(chance), text(chance, task=RATIONALE)) for _ in range(4)] + [(text(chance),)]


def pairs(seed: int, count: int = 4) -> list[Group]:
    chance = Random(seed)
    made: list[Group] = []
    for _ in range(count):
        prompt = tuple(chance.randrange(400) for _ in range(8))
        answers = [tuple(chance.randrange(400) for _ in range(chance.randint(2, 20))) for _ in range(2)]
        made.append(tuple(Text((*prompt, *answer), 8) for answer in answers))
    return made


class Plain:
    """The same training, written out."""

    def __init__(self, path: Path, trainer: Trainer) -> None:
        self.base, self.recipe, self.scale = plain.read(path), trainer.recipe, trainer.lora.scale
        self.pairs: dict[str, tuple[Tensor, Tensor]] = {
            name: (trainer.lora.a(name).detach().clone(), trainer.lora.b(name).detach().clone())
            for name in self.base
            if name in trainer.lora
        }
        self.parameters = [one.requires_grad_() for pair in self.pairs.values() for one in pair]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=1.0, weight_decay=self.recipe.weight_decay)

    def step(self, number: int, groups: Sequence[Group], loss_of: Callable[..., Tensor]) -> tuple[float, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, number, STEPS)
        self.optimiser.zero_grad()
        loss = loss_of(plain.adapted(self.base, self.pairs, self.scale), groups)
        loss.backward()
        gradient = math.sqrt(sum(float((one.grad**2).sum()) for one in self.parameters if one.grad is not None))
        for one in self.parameters:
            assert one.grad is not None
            one.grad *= min(1.0, self.recipe.clip / gradient)
        self.optimiser.step()
        return loss.item(), gradient

    def sft(self, weights: dict[str, Tensor], groups: Sequence[Group]) -> Tensor:
        """The mean over all learned tokens; of rationales likewise, times their weight."""
        found: list[list[Tensor]] = [[], []]
        for one in (one for group in groups for one in group):
            found[one.task].append(plain.nll(weights, one.tokens, one.learned))
        loss = torch.cat(found[0]).mean()
        return loss + self.recipe.rationale_weight * torch.cat(found[1]).mean() if found[1] else loss

    def dpo(self, weights: dict[str, Tensor], groups: Sequence[Group]) -> Tensor:
        losses = []
        for chosen, rejected in groups:
            better, worse = (
                plain.nll(self.base, one.tokens, one.learned).sum() - plain.nll(weights, one.tokens, one.learned).sum()
                for one in (chosen, rejected)
            )
            losses.append(-torch.log(torch.sigmoid(self.recipe.beta * (better - worse))))
        return torch.stack(losses).mean()


@pytest.mark.parametrize("objective", ["sft", "two-task", "dpo"])
def test_steps_are_those_of_a_plain_loop(tiny: Path, objective: str) -> None:
    """Texts are packed and bucketed here, and read one by one there: so nothing leaks from one to another."""
    recipe = replace(RECIPE, objective=objective, beta=0.5)
    trainer = made(tiny, recipe)
    peer = Plain(tiny, trainer)
    make = {"sft": singles, "two-task": two_tasks, "dpo": pairs}[objective]
    for number in range(1, STEPS + 1):
        groups = make(number)
        references = trainer.references(groups) if objective == "dpo" else None
        done = trainer.step(number, groups, references)
        loss, gradient = peer.step(number, groups, peer.dpo if objective == "dpo" else peer.sft)
        assert done is not None
        assert done.loss == pytest.approx(loss, abs=1e-5)
        assert done.gradient == pytest.approx(gradient, rel=1e-3)
    for name, (a, b) in peer.pairs.items():
        torch.testing.assert_close(trainer.lora.a(name), a, rtol=0, atol=2e-4)
        torch.testing.assert_close(trainer.lora.b(name), b, rtol=0, atol=2e-4)


def test_before_the_first_step_dpo_loses_ln_2(tiny: Path) -> None:
    trainer, groups = made(tiny, replace(RECIPE, objective="dpo")), pairs(0)
    references = trainer.references(groups)
    assert references is not None
    expected = [[-float(plain.nll(plain.read(tiny), one.tokens, one.learned).sum()) for one in pair] for pair in groups]
    torch.testing.assert_close(references, torch.tensor(expected), rtol=1e-5, atol=1e-4)
    found = trainer.evaluate(groups, references)
    assert found is not None
    assert found[0] == pytest.approx(math.log(2), abs=1e-6)


def test_dpo_learns_to_tell_the_better_answer(tiny: Path) -> None:
    trainer, groups = made(tiny, replace(RECIPE, objective="dpo", warmup=0.0)), pairs(0)
    references = trainer.references(groups)
    for number in range(1, STEPS):
        trainer.step(number, groups, references)
    found = trainer.evaluate(groups, references)
    assert found is not None
    assert found[0] < 0.6
    assert found[1] == 1.0


def test_in_how_many_passes_a_step_is_read_changes_nothing(tiny: Path) -> None:
    groups = two_tasks(0)
    whole, parts, alone = (
        made(tiny, replace(RECIPE, context=context, packing=packing))
        for context, packing in ((4096, True), (48, True), (4096, False))
    )
    steps = [trainer.step(1, groups) for trainer in (whole, parts, alone)]
    for trainer, step in ((parts, steps[1]), (alone, steps[2])):
        assert step is not None
        assert steps[0] is not None
        assert step.loss == pytest.approx(steps[0].loss, rel=1e-6)
        assert step.gradient == pytest.approx(steps[0].gradient, rel=1e-5)
        for name, tensor in whole.lora.tensors().items():
            torch.testing.assert_close(trainer.lora.tensors()[name], tensor, rtol=0, atol=1e-4)


def test_activations_computed_again_give_the_same_step(tiny: Path) -> None:
    recipe = replace(RECIPE, dropout=0.2, noise=5.0)
    kept, again = made(tiny, recipe), made(tiny, recipe, recompute=True)
    assert kept.step(1, singles(0)) == again.step(1, singles(0))
    assert all(torch.equal(one, again.lora.tensors()[name]) for name, one in kept.lora.tensors().items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("strip", [3_000, weights.STRIP])
def test_how_many_layers_are_kept_unpacked_changes_no_bit(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, strip: int
) -> None:
    """There may be more memory when a run goes on, or less."""
    monkeypatch.setattr(weights, "STRIP", strip)
    found = []
    for layers in (0, 1, 2):
        trainer = made(tiny, dtype=dtype)
        trainer._decoder.weights.keep_dense(layers)
        for number in (1, 2, 3):
            trainer.step(number, singles(number))
        found.append(trainer.state())
    for other in found[1:]:
        assert all(torch.equal(tensor, other[name]) for name, tensor in found[0].items())


def test_a_step_of_16_bits_is_near_and_the_rows_that_fill_it_up_count_for_nothing(tiny: Path) -> None:
    exact, rounded = made(tiny).step(1, singles(0)), made(tiny, dtype="bfloat16").step(1, singles(0))
    assert exact is not None
    assert rounded is not None
    assert rounded.loss == pytest.approx(exact.loss, rel=0.01)
    assert rounded.tokens == exact.tokens == sum(len(one.tokens) - 1 for (one,) in singles(0))


def test_steps_of_16_bits_keep_few_kernels(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN has one for each shape, attention's as well."""
    trainer, seen, attend = made(tiny, dtype="bfloat16"), set[int](), functional.scaled_dot_product_attention

    def noting(q: Tensor, *rest: Any, **options: Any) -> Tensor:
        seen.add(q.shape[2])
        return attend(q, *rest, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", noting)
    chance = Random(0)
    for number, length in enumerate((9, 30, 63, 64, 66), start=1):
        trainer.step(number, [(text(chance, length),), (text(chance, length - 2),)])
    assert seen == {64, 128}


def test_a_share_counts_learned_tokens_of_the_whole_step() -> None:
    groups: list[Group] = [(Text((0,) * 10, 4),), (Text((0,) * 10, 6), Text((0,) * 9, 4, RATIONALE))]
    assert Shares.of(groups, replace(RECIPE, rationale_weight=0.5)) == Shares(1 / 10, 0.5 / 5)
    assert Shares.of([groups[0]] * 4, replace(RECIPE, objective="dpo")) == Shares(1 / 4)


def test_the_learning_rate_rises_and_falls_as_it_should() -> None:
    recipe = Recipe(learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(recipe, step, 40) for step in range(1, 41)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[4:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * part / 36) for part in range(36)])
    assert rates[-1] < 0.01
    assert learning_rate(replace(recipe, warmup=0.0), 1, 1) == 1.0
    assert learning_rate(replace(recipe, warmup=1.0), 2, 3) == pytest.approx(0.5)


def test_a_cancelled_step_and_one_of_no_numbers_leave_all_as_it_was(tiny: Path, tmp_path: Path) -> None:
    trainer = made(tiny, replace(RECIPE, context=16))
    trainer.step(1, singles(0))
    before = {name: tensor.clone() for name, tensor in trainer.state().items()}
    looks = iter([False, True])
    assert trainer.step(2, singles(1), cancelled=lambda: next(looks)) is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.state().items())
    broken = made(write_tiny(tmp_path / "nan.gguf", nan=True))
    done = broken.step(1, singles(0))
    assert done is not None
    assert not done.finite
    assert not any(tensor.any() for name, tensor in broken.lora.tensors().items() if name.endswith("lora_b"))


def test_it_goes_on_from_its_state_bit_for_bit(tiny: Path) -> None:
    recipe = replace(RECIPE, dropout=0.1, noise=5.0)
    through, first, second = made(tiny, recipe), made(tiny, recipe), made(tiny, replace(recipe, seed=0))
    for number in (1, 2, 3, 4):
        through.step(number, singles(number))
    for number in (1, 2):
        first.step(number, singles(number))
    torch.manual_seed(99)  # what others drew in between
    second.load({name: tensor.clone() for name, tensor in first.state().items()}, 2)
    for number in (3, 4):
        second.step(number, singles(number))
    ours, theirs = through.state(), second.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_noise_is_as_large_as_neftune_says(tiny: Path) -> None:
    trainer = made(tiny, replace(RECIPE, noise=5.0))
    noise = trainer._noise([[1] * 30, [1] * 10])
    assert noise is not None
    for rows, length in ((noise[:30], 30), (noise[30:], 10)):
        bound = 5 / math.sqrt(length * 64)
        assert bound * 0.98 < rows.abs().max() <= bound
        assert rows.mean().abs() < bound / 10
    with torch.no_grad():
        assert trainer._noise([[1]]) is None
