"""Which tokens lie in the KV cache for which sequence, so that a prompt is evaluated only where it differs."""

from dataclasses import dataclass

import numpy as np

from core.engine.context import Context, Tokens

WORTH_A_COPY = 16  # tokens: a copy takes all of a sequence's cells


@dataclass(eq=False)
class Slot:
    """One sequence of the context and the tokens that are evaluated for it."""

    number: int
    tokens: Tokens
    length: int = 0
    live: bool = False
    last_used: int = 0

    @property
    def evaluated(self) -> Tokens:
        return self.tokens[: self.length]


class Cache:
    """A finished sequence keeps its tokens until a new one needs its place, and others may begin as it did.

    Each sequence has cells of its own. Those that generate must stand side by side, for llama.cpp evaluates only such
    together: a free place is the lowest one, and `close_ranks` moves what stands apart.
    """

    def __init__(self, context: Context, can_truncate: bool) -> None:
        self._context = context
        self._can_truncate = can_truncate
        self._clock = 0
        self.slots = [Slot(n, np.zeros(context.cells_each, np.int32)) for n in range(context.sequences)]

    @property
    def room(self) -> int:
        """Tokens of one sequence."""
        return self._context.cells_each

    @property
    def free(self) -> int:
        """How many sequences may still begin."""
        return sum(not slot.live for slot in self.slots)

    def shared(self, tokens: Tokens, slot: Slot) -> int:
        """How many of the first tokens lie in a slot and can be taken. The last never is: it gives the logits."""
        length = common(tokens[:-1], slot.evaluated)
        return length if self._can_truncate or length == slot.length else 0

    def take(self, tokens: Tokens) -> Slot:
        """A live sequence that begins with as many of the tokens as any other holds. One must be free."""
        known = {slot: self.shared(tokens, slot) for slot in self.slots}
        source = max(self.slots, key=lambda slot: (known[slot], slot.last_used))
        idle = [slot for slot in self.slots if not slot.live]
        slot = min(idle, key=lambda slot: (slot.length > 0, slot.last_used, slot.number))
        if source in idle and 2 * known[source] > source.length:  # little is lost by going on in its place
            slot = source
        if known[source] - known[slot] >= WORTH_A_COPY:
            self._copy(source, slot, known[source])
        else:
            self._cut(slot, known[slot])
        slot.live = True
        self._use(slot)
        return slot

    def extend(self, slot: Slot, tokens: Tokens) -> None:
        """Notes tokens that were decoded for a sequence."""
        slot.tokens[slot.length : slot.length + len(tokens)] = tokens
        slot.length += len(tokens)

    def rest(self, slot: Slot) -> None:
        """A sequence is finished; what it holds stays for others."""
        slot.live = False
        self._use(slot)

    def close_ranks(self) -> dict[Slot, Slot]:
        """Moves live sequences into gaps between them; says which slot now stands for which."""
        moved: dict[Slot, Slot] = {}
        while True:
            live = [slot.number for slot in self.slots if slot.live]
            gaps = [n for n in range(live[0], live[-1]) if not self.slots[n].live] if live else []
            if not gaps:
                return moved
            source, target = self.slots[live[-1]], self.slots[gaps[0]]
            self._copy(source, target, source.length)
            source.live, target.live = False, True
            self._use(target)
            moved[source] = target

    def clear(self) -> None:
        """Forgets everything: after a decode that was interrupted, nobody knows what lies in the cache."""
        self._context.clear()
        for slot in self.slots:
            slot.length, slot.live, slot.last_used = 0, False, 0  # else the next run would take them in another order

    def _copy(self, source: Slot, target: Slot, length: int) -> None:
        if length:
            self._context.copy(source.number, target.number, length)
            target.tokens[:length] = source.tokens[:length]
        else:
            self._context.remove(target.number)
        target.length = length

    def _cut(self, slot: Slot, length: int) -> None:
        if length < slot.length:
            if length:
                self._context.truncate(slot.number, length)
            else:
                self._context.remove(slot.number)
            slot.length = length

    def _use(self, slot: Slot) -> None:
        self._clock += 1
        slot.last_used = self._clock


def common(first: Tokens, second: Tokens) -> int:
    """The length of the longest common prefix."""
    length = min(len(first), len(second))
    if not length or first[0] != second[0]:
        return 0
    different = first[:length] != second[:length]
    place = int(different.argmax())
    return place if different[place] else length
