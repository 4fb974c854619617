"""In which order examples are trained on, and which are read together: both follow from the seed and the step alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from core.tuning.tokens import Group


@dataclass(frozen=True)
class Order:
    """The order of all examples over all epochs. A step is all that has to be known to go on with it."""

    examples: int
    batch: int  # examples a step
    epochs: float
    seed: int

    @property
    def steps_each(self) -> int:
        """The steps of an epoch; its last one may have fewer examples."""
        return -(-self.examples // self.batch)

    @property
    def steps(self) -> int:
        return max(1, round(self.steps_each * self.epochs))

    def epoch(self, step: int) -> float:
        """How many epochs have passed after a step, which counts from 1."""
        whole, part = divmod(step, self.steps_each)
        return whole + part * self.batch / self.examples

    def of(self, step: int) -> list[int]:
        """The examples of a step."""
        epoch, place = divmod(step - 1, self.steps_each)
        return _shuffled(self.examples, f"{self.seed}/{epoch}")[place * self.batch : (place + 1) * self.batch]


@lru_cache(maxsize=2)
def _shuffled(count: int, seed: str) -> list[int]:
    order = list(range(count))
    Random(seed).shuffle(order)
    return order


def passes(groups: Sequence[Group], context: int, packing: bool = True) -> list[list[int]]:
    """Which groups are read together, by their places: up to `context` tokens at once, one alone without packing.

    Those of like length come together: attention is padded to the longest of a pass. This changes no result, for the
    passes of a step are summed. A group that is longer than the context, as a pair of answers may be, goes alone.
    """
    made: list[list[int]] = []
    room = 0
    for place in sorted(range(len(groups)), key=lambda place: (-size(groups[place]), place)):
        wanted = size(groups[place])
        if not made or wanted > room or not packing:
            made.append([])
            room = context
        made[-1].append(place)
        room -= wanted
    return made


def size(group: Group) -> int:
    """How many tokens are read of a group: nothing follows the last of a text."""
    return sum(len(text.tokens) - 1 for text in group)


def units(groups: Sequence[Group], together: bool) -> list[Group]:
    """What has to be read in one pass: each text, or each group where its texts are compared."""
    return list(groups) if together else [(text,) for group in groups for text in group]
