"""Which tokens lie in the KV cache for which sequence: shares prefixes, keeps finished prompts, knows the room left."""

from dataclasses import dataclass, field

import numpy as np

from core.engine.llama import Context, Tokens


@dataclass(eq=False)
class Slot:
    """One sequence of the context: the tokens evaluated for it, and the cells of the cache that hold them."""

    number: int
    tokens: Tokens
    cells: Tokens
    length: int = 0
    live: bool = False
    last_used: int = field(default=0)

    @property
    def evaluated(self) -> Tokens:
        return self.tokens[: self.length]


class Cache:
    """Mirrors the context's cells, which llama.cpp does not show: a cell is free when no sequence holds it.

    A finished sequence stays idle, and new ones share its prefix, until its room is needed.
    """

    def __init__(self, context: Context, can_share: bool) -> None:
        self._context = context
        self._can_share = can_share
        self._clock = 0
        size = context.cells
        self.slots = [Slot(n, np.zeros(size, np.int32), np.zeros(size, np.int32)) for n in range(context.slots)]
        self._holders = np.zeros(size, np.int32)
        self._free = list(range(size))

    @property
    def size(self) -> int:
        return self._context.cells

    @property
    def can_share(self) -> bool:
        return self._can_share

    def best(self, tokens: Tokens) -> tuple[int, Slot | None]:
        """How many of the first tokens are evaluated already, and where. The last is never: it gives the logits."""
        if not self._can_share:
            return 0, None
        ways = [(common(tokens[:-1], slot.evaluated), slot.last_used, slot) for slot in self.slots if slot.length]
        length, _, slot = max(ways, key=lambda way: way[:2], default=(0, 0, None))
        return (length, slot) if length else (0, None)

    def make_room(self, cells: int, keep: Slot | None = None) -> bool:
        """Forgets idle sequences but `keep`, the longest unused first, until `cells` are free; or none, if too few."""
        held = np.zeros(self.size, bool)
        for slot in self.slots:
            if slot.live or slot is keep:
                held[slot.cells[: slot.length]] = True
        if self.size - int(held.sum()) < cells:
            return False
        for slot in self._idle():
            if len(self._free) >= cells:
                break
            if slot is not keep:
                self.drop(slot)
        return True

    def take(self, tokens: Tokens) -> Slot:
        """A live sequence that begins with as many of the tokens as any other holds."""
        length, source = self.best(tokens)
        slot = next((slot for slot in self.slots if not slot.live and not slot.length), None)
        if slot is None:
            slot = next(slot for slot in self._idle() if slot is not source)
            self.drop(slot)
        if source is not None:
            self._context.copy(source.number, slot.number, length)
            slot.tokens[:length] = tokens[:length]
            slot.cells[:length] = source.cells[:length]
            slot.length = length
            self._holders[slot.cells[:length]] += 1
            self._use(source)
        slot.live = True
        self._use(slot)
        return slot

    def extend(self, slot: Slot, tokens: Tokens) -> None:
        """Notes tokens that were decoded for a sequence."""
        end = slot.length + len(tokens)
        cells = [self._free.pop() for _ in range(len(tokens))]
        slot.tokens[slot.length : end] = tokens
        slot.cells[slot.length : end] = cells
        self._holders[cells] = 1
        slot.length = end

    def rest(self, slot: Slot, length: int) -> None:
        """A sequence is finished; its first `length` tokens, the prompt, stay for others to share."""
        slot.live = False
        self._use(slot)
        if not self._can_share:
            self.drop(slot)
        elif length < slot.length:
            self._context.truncate(slot.number, length)
            self._let_go(slot, length)

    def trim(self, count: int) -> None:
        """Forgets all but the `count` idle sequences used last: each one's cells cost time in every decode."""
        for slot in self._idle()[:-count]:
            self.drop(slot)

    def drop(self, slot: Slot) -> None:
        """Forgets a sequence."""
        self._context.remove(slot.number)
        self._let_go(slot, 0)
        slot.live = False

    def drop_idle(self) -> bool:
        """Forgets all that is not in use; whether there was anything."""
        idle = self._idle()
        for slot in idle:
            self.drop(slot)
        return bool(idle)

    def clear(self) -> None:
        """Forgets everything: after a decode that was interrupted, nobody knows what lies in the cache."""
        self._context.clear()
        self._free = list(range(self.size))
        self._holders[:] = 0
        for slot in self.slots:
            slot.length, slot.live = 0, False

    def _let_go(self, slot: Slot, length: int) -> None:
        cells = slot.cells[length : slot.length]
        self._holders[cells] -= 1
        self._free += cells[self._holders[cells] == 0].tolist()
        slot.length = length

    def _idle(self) -> list[Slot]:
        return sorted((slot for slot in self.slots if slot.length and not slot.live), key=lambda s: s.last_used)

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
