"""Takes the steps of a training: reads a step's examples pass by pass, sums their gradients and moves the adapter."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from core.tuning import losses
from core.tuning.batches import passes, size, units
from core.tuning.checkpoint import under
from core.tuning.decoder import Batch, Decoder
from core.tuning.lora import Lora
from core.tuning.records import Recipe
from core.tuning.tokens import RATIONALE, Group, Text

ROWS = 64  # of a product: their number is a multiple of it


@dataclass(frozen=True)
class Step:
    """What a step did: the loss of its examples before it, and the norm of its gradient before that was clipped."""

    loss: float
    gradient: float
    learning_rate: float
    tokens: int

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.gradient)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Of a step, counted from 1: it rises to the recipe's in equal parts, then falls to zero as half a cosine."""
    rising = math.ceil(recipe.warmup * steps)
    if step <= rising:
        return recipe.learning_rate * step / (rising + 1)
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - 1 - rising) / (steps - rising))) / 2


class Trainer:
    """An adapter in training, with its optimiser."""

    def __init__(self, decoder: Decoder, lora: Lora, recipe: Recipe, steps: int, recompute: bool = False) -> None:
        self.lora, self.recipe, self.steps = lora, recipe, steps
        self.recompute = recompute
        self._decoder = decoder
        self._parameters = list(lora.parameters())
        self._optimiser = torch.optim.AdamW(self._parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)

    def step(
        self,
        number: int,
        groups: Sequence[Group],
        references: Tensor | None = None,
        cancelled: Callable[[], bool] = bool,
    ) -> Step | None:
        """One step of the optimiser, whose number counts from 1; `references` are those of the groups (DPO).

        None when `cancelled` before all was read, which leaves everything as it was, as do numbers that are not finite.
        """
        self._optimiser.zero_grad()
        rate = learning_rate(self.recipe, number, self.steps)
        share, loss = Shares.of(groups, self.recipe), 0.0
        self.lora.train()
        for place, (texts, chosen) in enumerate(self._passes(groups)):
            if cancelled():
                return None
            torch.manual_seed(Random(f"{self.recipe.seed}/{number}/{place}").getrandbits(63))  # dropout and noise
            part = self._loss(texts, share, _rows(references, chosen))[0]
            part.backward()
            loss += part.item()
        gradient = torch.nn.utils.clip_grad_norm_(self._parameters, self.recipe.clip or math.inf).item()
        done = Step(loss, gradient, rate, sum(map(size, groups)))
        if done.finite:
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            self._optimiser.step()
        self._optimiser.zero_grad()
        return done

    @torch.no_grad()
    def evaluate(
        self, groups: Sequence[Group], references: Tensor | None = None, cancelled: Callable[[], bool] = bool
    ) -> tuple[float, float | None] | None:
        """The loss of examples that are not trained on and, of pairs, the share whose better answer gained more."""
        self.lora.eval()
        share, loss, gained = Shares.of(groups, self.recipe), 0.0, 0
        for texts, chosen in self._passes(groups):
            if cancelled():
                return None
            part, better = self._loss(texts, share, _rows(references, chosen))
            loss, gained = loss + part.item(), gained + better
        return loss, gained / len(groups) if self._compares else None

    @torch.no_grad()
    def references(self, groups: Sequence[Group], cancelled: Callable[[], bool] = bool) -> Tensor | None:
        """The log-probabilities of each pair's answers without the adapter: (pairs, 2)."""
        found = torch.zeros(len(groups), 2)
        for texts, chosen in self._passes(groups):
            if cancelled():
                return None
            found[chosen] = self._log_probabilities(texts, None).view(-1, 2).cpu()
        return found

    def state(self) -> dict[str, Tensor]:
        """The adapter and the optimiser's moments: all that the next step depends on, besides its number."""
        tensors = {f"adapter.{name}": tensor for name, tensor in self.lora.tensors().items()}
        for name, parameter in self.lora.named_parameters():
            for moment, tensor in self._optimiser.state[parameter].items():
                if moment in ("exp_avg", "exp_avg_sq"):
                    tensors[f"{moment}.{name}"] = tensor
        return tensors

    def load(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Goes on from what `state` gave after a step."""
        self.lora.load(under("adapter", tensors))
        for name, parameter in self.lora.named_parameters():
            if f"exp_avg.{name}" in tensors:
                moments = {key: tensors[f"{key}.{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
                self._optimiser.state[parameter] = {"step": torch.tensor(float(step)), **moments}

    def _passes(self, groups: Sequence[Group]) -> Iterator[tuple[list[Text], list[int]]]:
        """The texts of each pass, and the places of what they belong to."""
        read = units(groups, self._compares)
        for places in passes(read, self.recipe.context, self.recipe.packing):
            yield [text for place in places for text in read[place]], places

    @property
    def _compares(self) -> bool:
        return self.recipe.objective == "dpo"

    def _loss(self, texts: Sequence[Text], share: "Shares", references: Tensor | None) -> tuple[Tensor, int]:
        """What a pass adds to the loss of its step; of how many pairs the better answer gained more."""
        if references is None:
            weights = [share.of_text(text) for text in texts for _ in text.targets]
            found = self._nll(texts, self.lora)
            return (found * torch.tensor(weights, device=found.device)).sum(), 0
        sums = self._log_probabilities(texts, self.lora)
        loss, gained = losses.preference(sums[0::2], sums[1::2], references.to(sums.device), self.recipe.beta)
        return loss.sum() * share.answer, int(gained.sum())

    def _log_probabilities(self, texts: Sequence[Text], lora: Lora | None) -> Tensor:
        """Of each text's targets together."""
        parts = self._nll(texts, lora).split([len(text.targets) for text in texts])
        return -torch.stack([part.sum() for part in parts])

    def _nll(self, texts: Sequence[Text], lora: Lora | None) -> Tensor:
        """The negative log-likelihood of all targets, one text after the other."""
        decoder = self._decoder
        read = [list(text.tokens[:-1]) for text in texts]
        if filler := self._filler(sum(map(len, read))):
            read.append([0] * filler)
        batch = Batch.of(read, decoder.weights.device, self._multiple)
        learned, first = [], 0
        for text in texts:
            learned += range(first + text.learned - 1, first + len(text.tokens) - 1)
            first += len(text.tokens) - 1
        hidden = decoder.hidden(batch, lora, self.recompute and torch.is_grad_enabled(), self._noise(read))
        targets = [token for text in texts for token in text.targets]
        filler = [0] * self._filler(len(targets))
        states = hidden[torch.tensor(learned + filler, device=hidden.device)]
        wanted = torch.tensor(targets + filler, device=hidden.device)
        return losses.nll(states, wanted, decoder.logits, decoder.traits.vocabulary)[: len(targets)]

    def _filler(self, count: int) -> int:
        """How many rows have to be added, which change nothing."""
        return -count % self._multiple

    @property
    def _multiple(self) -> int:
        """Of what the rows of products have to be a multiple, those of attention too: for each number of rows of
        bfloat16 oneDNN compiles a kernel, which takes time, and keeps it, which takes megabytes."""
        return ROWS if self._decoder.weights.dtype == torch.bfloat16 else 1

    def _noise(self, read: Sequence[Sequence[int]]) -> Tensor | None:
        """NEFTune's (arXiv 2310.05914): uniform, the less the longer and wider a text is."""
        if not self.recipe.noise or not torch.is_grad_enabled():
            return None
        width = self._decoder.traits.width
        parts = [
            (torch.rand(len(text), width) * 2 - 1) * (self.recipe.noise / math.sqrt(len(text) * width)) for text in read
        ]
        return torch.cat(parts).to(self._decoder.weights.device)


@dataclass(frozen=True)
class Shares:
    """How much one learned token adds to the loss of a step: of each task, the mean over the step's learned tokens;
    of rationales, times their weight. Of DPO, one pair's part of the mean."""

    answer: float
    rationale: float = 0.0

    @classmethod
    def of(cls, groups: Sequence[Group], recipe: Recipe) -> "Shares":
        if recipe.objective == "dpo":
            return cls(1 / max(1, len(groups)))
        counts = [0, 0]
        for text in (text for group in groups for text in group):
            counts[text.task] += len(text.targets)
        return cls(1 / max(1, counts[0]), recipe.rationale_weight / max(1, counts[1]))

    def of_text(self, text: Text) -> float:
        return self.rationale if text.task == RATIONALE else self.answer


def _rows(references: Tensor | None, chosen: Sequence[int]) -> Tensor | None:
    return None if references is None else references[list(chosen)]
