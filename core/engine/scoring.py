"""Scores options by their probability: a batch is a tree of all prompts and options, so that no prefix is read twice.

A token of the tree belongs to every row that goes through it. What was read stays in the cache while there is room:
the next turn of a conversation goes on from there. Logits come out where a scored token is foretold, and an
option of one token is read off the end of its prompt, with no decode of its own.
"""

import time
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.engine.cache import common
from core.engine.context import Context, Logits, Tokens
from core.engine.llama import Model
from core.engine.native import log
from core.engine.requests import OptionScore, Score, Scores, TooLong
from core.engine.sampling import refuse_invalid
from core.engine.shape import BATCH, Shape
from core.engine.templates import ChatFormat
from core.errors import UserError

ROWS = 64  # sequences of one batch; room for the logits of as many tokens costs 39 MB with a vocabulary of 152,000
ROWS_APART = 16  # where each has a state and cells of its own, and they are read one after the other anyway
LEAST_CELLS = 1_024


@dataclass(frozen=True, eq=False)
class Row:
    """One way to write an option: the prompt's tokens and its own, which are scored from `start`."""

    tokens: Tokens
    start: int

    @property
    def read(self) -> Tokens:
        """What must be evaluated: not the last token, for what it would foretell nobody asks."""
        return self.tokens[:-1]


@dataclass(frozen=True, eq=False)
class Item:
    """A Score made ready: each option's rows."""

    score: Score
    options: tuple[tuple[Row, ...], ...]
    prompt_tokens: int

    @property
    def rows(self) -> list[Row]:
        """Those of all options."""
        return [row for ways in self.options for row in ways]

    @property
    def alone(self) -> int:
        """Tokens to be evaluated if each option were scored by itself."""
        return sum(len(row.read) for row in self.rows)


@dataclass(frozen=True, eq=False)
class _Kept:
    """A row that lies in the cache, as a sequence of its own, since the batch of this number."""

    key: bytes
    tokens: Tokens
    sequence: int
    batch: int


@dataclass(frozen=True)
class _Part:
    """A piece of the tree: tokens from `depth` on that the rows `first` to before `end` have in common."""

    tokens: Tokens
    depth: int
    first: int
    end: int
    asked: int  # logits are wanted from this depth on

    @property
    def end_depth(self) -> int:
        return self.depth + len(self.tokens)

    @property
    def places(self) -> range:
        """The depths whose logits are wanted."""
        return range(max(self.depth, self.asked), self.end_depth)


class Scorer:
    """Scores in a context of its own, made when first needed, beside the one that generates."""

    def __init__(self, model: Model, chat: ChatFormat, room: int, threads: int) -> None:
        """`room` is how many tokens one prompt and its option may have."""
        self._model, self._chat, self._room, self._threads = model, chat, room, threads
        self._rows = ROWS if model.can_truncate else ROWS_APART
        self._context: Context | None = None
        self._kept: list[_Kept] = []  # what lies in the cache, in the order of the keys; empty where that is not known
        self._wanted: list[Tokens] = []  # rows that will be read later
        self._batches = 0
        self._adapter: tuple[Any, float] = (None, 0.0)
        self.evaluated = self.decodes = 0  # tokens so far, and the decodes they took
        self.decode_seconds = 0.0

    def prepare(self, score: Score) -> Item:
        """Raises UserError when an option is empty, or there is no room for it with its prompt."""
        if not score.options or not all(score.options):
            raise UserError("There is nothing to score: an option is empty. Give each option a text.")
        ways = [(option, " " + option) if score.letters else (option,) for option in score.options]
        lists = self._chat.continued(score.messages, ["", *(way for written in ways for way in written)])
        alike = all(tokens[:1] == lists[0][:1] != [] for tokens in lists)
        begin = [] if alike else [max(self._model.vocabulary.begin_token, 0)]  # which foretells the first token
        prompt, *rows = (np.array(begin + tokens, np.int32) for tokens in lists)
        if any(common(prompt, row) == len(row) for row in rows):
            raise UserError("There is nothing to score: an option is empty for this model. Give each option a text.")
        longest = max(map(len, rows))
        if longest > self._room:
            raise TooLong(
                f"A prompt to be scored has {longest:,} tokens, and the model takes {self._room:,}. "
                "Shorten it, or choose a model with a longer context."
            )
        self._refuse_alike(score, ways, rows)
        # Where a tokenizer melts the end of the prompt and an option into one token, all are scored from there.
        start = min(common(prompt, row) for row in rows)
        following = iter(rows)
        options = tuple(_different(Row(next(following), start) for _ in written) for written in ways)
        return Item(score, options, len(prompt))

    @staticmethod
    def _refuse_alike(score: Score, ways: Sequence[Sequence[str]], rows: Sequence[Tokens]) -> None:
        """Options of which each has some token sequence in common with another could not be told apart."""
        seen: dict[bytes, int] = {}
        following = iter(rows)
        for place, written in enumerate(ways):
            for _ in written:
                other = seen.setdefault(_key(next(following)), place)
                if other != place:
                    raise UserError(
                        f"This model's tokenizer makes the same tokens of the options “{score.options[other]}” and "
                        f"“{score.options[place]}”, so they cannot be told apart. Use other options, or another model."
                    )

    def fits(self, items: Sequence[Item]) -> bool:
        """Whether items make one batch together that is not larger than what is evaluated at once."""
        rows = sorted({_key(row.read): row for item in items for row in item.rows}.values(), key=lambda r: _key(r.read))
        batch, starts = [row.read for row in rows], [row.start - 1 for row in rows]
        known = [known for _, known in self._known(batch, starts)]
        cells = self._context.cells if self._context else LEAST_CELLS
        return len(rows) <= self._rows and _size(batch, known) <= BATCH and _size(batch) <= cells

    def score(
        self, items: Sequence[Item], cancelled: Callable[[], bool], later: Sequence[Item] = ()
    ) -> list[Scores] | None:
        """The scores of items, in one batch where it has room for their rows; None when cancelled.

        Of what lies in the cache, only that is kept which `later` items begin with: each decode looks at all of it.

        Raises UserError when there is no memory for it or the model gives no valid numbers.
        """
        asked: dict[bytes, list[Row]] = {}
        for item in items:
            for row in item.rows:
                asked.setdefault(_key(row.read), []).append(row)
        order = sorted(asked)
        sums = {id(row): 0.0 for item in items for row in item.rows}
        self._wanted = [item.rows[0].read for item in later]
        for first in range(0, len(order), self._rows):
            if not self._read([asked[key] for key in order[first : first + self._rows]], sums, cancelled):
                return None
        return [_scores(item, sums) for item in items]

    def use(self, adapter: Any, scale: float) -> None:
        """Scores with an adapter from now on, or without one (None)."""
        self._adapter = adapter, scale
        if self._context is not None:
            self._context.use(adapter, scale)
        self.forget()

    def forget(self) -> None:
        """What the next batch has in common with those before is read anew.

        A context that has grown is made anew too: its size says what fits into a batch, and so how it is rounded.
        """
        self._kept = []
        if self._context is not None and self._context.shape.batch > LEAST_CELLS:
            self.close()

    def close(self) -> None:
        """Gives the memory back."""
        if self._context is not None:
            self._context.close()
        self._context, self._kept = None, []

    def _read(self, asked: list[list[Row]], sums: dict[int, float], cancelled: Callable[[], bool]) -> bool:
        """Evaluates one batch: the rows that ask for it, by what is to be read for them. False when cancelled."""
        batch = [rows[0].read for rows in asked]
        starts = [min(row.start for row in rows) - 1 for rows in asked]
        context = self._context_for(list(_tree(batch, starts, [0] * len(batch))))
        context.stop_when(cancelled)
        sequences, known, kept = self._prepare_cache(context, batch, starts)
        parts = list(_tree(batch, starts, known))
        for together in [parts] if context.shape.shared else [[part] for part in parts]:
            if not self._decode(context, together, sequences):
                return False
            logits = iter(context.logits(sum(len(part.places) for part in together)))
            for part in together:
                below = [row for rows in asked[part.first : part.end] for row in rows]
                for place in part.places:
                    _add(next(logits), place, below, sums)
                for number in range(part.first + 1, part.end) if not context.shape.shared else ():
                    context.copy(part.first, number, part.end_depth)
        if context.shape.shared:
            self._batches += 1
            lying = (_Kept(_key(row), row, at, self._batches) for row, at in zip(batch, sequences, strict=True))
            self._kept = sorted([*kept, *lying], key=lambda one: one.key)
        return True

    def _prepare_cache(
        self, context: Context, batch: list[Tokens], starts: list[int]
    ) -> tuple[list[int], list[int], list[_Kept]]:
        """Lets each row begin with what lies in the cache of it, and forgets as much of the rest as must be.

        Returns the sequence of each row, how many of its tokens are known, and what else is kept.
        """
        found = self._known(batch, starts)
        known = [depth for _, depth in found]
        kept, self._kept = self._kept, []  # until all of the batch is read: a decode may fail or be stopped
        if not any(known):
            context.clear()
            return list(range(len(batch))), known, []
        first: dict[_Kept, int] = {}  # the row that goes on in the place of what it begins with
        for row, (source, depth) in enumerate(found):
            if source is not None and depth and (source not in first or depth > known[first[source]]):
                first[source] = row
        twice = sum(common(one.tokens, row) - n for (one, n), row in zip(found, batch, strict=True) if one and n)
        others = self._make_room(context, batch, [one for one in kept if one not in first], kept, twice)
        free = iter(set(range(self._rows)) - {one.sequence for one in (*first, *others)})
        sequences: list[int] = []
        for row, (source, depth) in enumerate(found):
            if source is not None and first.get(source) == row:
                sequences.append(source.sequence)
                continue
            sequences.append(next(free))
            if source is not None and depth:
                context.copy(source.sequence, sequences[-1], depth)
        for source, row in first.items():
            context.truncate(source.sequence, known[row])
        return sequences, known, others

    def _make_room(
        self, context: Context, batch: list[Tokens], idle: list[_Kept], kept: list[_Kept], twice: int
    ) -> list[_Kept]:
        """Forgets what is `idle` and not wanted later, and the oldest of the rest until the batch has its place.

        `twice` counts the tokens that are read though they lie in the cache. Returns what is left.
        """
        wanted = [_nearest(kept, row)[1] for row in self._wanted]
        left = sorted((one for one in idle if one in wanted), key=lambda one: -one.batch)
        for one in idle:
            if one not in left:
                context.remove(one.sequence)
        while left and (
            len(left) + len(batch) > self._rows
            or _size(sorted([*batch, *(one.tokens for one in left)], key=_key)) + twice > context.cells
        ):
            context.remove(left.pop().sequence)
        return left

    def _known(self, batch: list[Tokens], starts: list[int]) -> list[tuple[_Kept | None, int]]:
        """For each row of a sorted batch, what it has most in common with of what lies in the cache, and how much.

        What is wanted of it must be read, and what two rows have in common is known of both or of neither.
        """
        found = [_nearest(self._kept, row) for row in batch]
        known = [min(depth, start) for (depth, _), start in zip(found, starts, strict=True)]
        count = len(batch)
        for row, beside in [*((n, n - 1) for n in range(1, count)), *((n, n + 1) for n in range(count - 2, -1, -1))]:
            shared = common(batch[row], batch[beside])
            if min(known[beside], shared) < min(known[row], shared):
                known[row] = known[beside]
        return [(source, depth) for (_, source), depth in zip(found, known, strict=True)]

    def _decode(self, context: Context, parts: list[_Part], sequences: list[int]) -> bool:
        """Evaluates parts of the tree in one batch; False when that was cancelled."""
        count = 0
        for part in parts:
            end = part.end if context.shape.shared else part.first + 1
            wanted = np.arange(part.depth, part.end_depth) >= part.asked
            count = context.put_shared(count, part.tokens, part.depth, sequences[part.first : end], wanted)
        self.evaluated += count
        self.decodes += 1
        started = time.perf_counter()
        decoded = context.decode(count)
        self.decode_seconds += time.perf_counter() - started
        return decoded

    def _context_for(self, parts: list[_Part]) -> Context:
        """The context; made anew, twice as large or more, where the last was too small for a batch."""
        shared = self._model.can_truncate
        tokens = sum(len(part.tokens) for part in parts) if shared else max(part.end_depth for part in parts)
        cells = _power_of_two(tokens, LEAST_CELLS)
        outputs = _power_of_two(sum(len(part.places) for part in parts), ROWS)
        old = self._context.shape if self._context else Shape(self._rows, 0, 0, batch=0)
        if self._context is None or cells > old.batch or outputs > old.outputs:
            self.close()
            cells, outputs = max(cells, old.batch), max(outputs, old.outputs)
            cells_in_all = cells if shared else cells * self._rows  # those of a sequence are its own then
            shape = Shape(self._rows, cells_in_all, outputs, batch=cells, shared=shared, exact=True)
            self._context = Context.create(self._model, shape, self._threads)
            if self._context is None:
                raise UserError(f"There is no memory to score with: {log().reason()}. Close other programs.")
            self._context.use(*self._adapter)
        return self._context


def _nearest(kept: list[_Kept], row: Tokens) -> tuple[int, _Kept | None]:
    """Which of sorted rows has most in common with a row at its front, and how many tokens."""
    at = bisect(kept, _key(row), key=lambda one: one.key)  # those beside its place have the longest common front
    near = [(common(one.tokens, row), one) for one in kept[max(0, at - 1) : at + 1]]
    return max(near, key=lambda pair: pair[0], default=(0, None))


def _tree(rows: list[Tokens], starts: list[int], known: list[int]) -> Iterator[_Part]:
    """The tree of sorted rows without what is known of them, each part after the one that it continues."""

    def below(first: int, end: int, depth: int) -> Iterator[_Part]:
        shared = common(rows[first], rows[end - 1])  # of the first and the last, and so of all between them
        fresh = max(depth, min(known[first:end]))
        if shared > fresh:
            yield _Part(rows[first][fresh:shared], fresh, first, end, min(starts[first:end]))
        while first < end and len(rows[first]) == shared:
            first += 1
        while first < end:
            after = first
            while after < end and rows[after][shared] == rows[first][shared]:
                after += 1
            yield from below(first, after, shared)
            first = after

    return below(0, len(rows), 0)


def _size(rows: list[Tokens], known: list[int] | None = None) -> int:
    """Tokens of the tree of sorted rows."""
    nothing = [0] * len(rows)
    return sum(len(part.tokens) for part in _tree(rows, nothing, known or nothing))


def _add(logits: Logits, place: int, rows: list[Row], sums: dict[int, float]) -> None:
    """Adds what the logits at a place say of the next token of each row that is scored there."""
    scored = [row for row in rows if row.start - 1 <= place]
    highest = float(logits.max())
    refuse_invalid(highest)
    normaliser = highest + float(np.log(np.exp(logits - highest, dtype=np.float32).sum(dtype=np.float32)))
    for row in scored:
        sums[id(row)] += float(logits[row.tokens[place + 1]]) - normaliser


def _scores(item: Item, sums: dict[int, float]) -> Scores:
    options: list[OptionScore] = []
    for text, ways in zip(item.score.options, item.options, strict=True):
        total = float(np.logaddexp.reduce([sums[id(row)] for row in ways]))
        tokens = min(len(row.tokens) - row.start for row in ways)
        options.append(OptionScore(total, tokens, len(text.encode())))
    return Scores(tuple(options), item.prompt_tokens)


def _different(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Each once: some tokenizers drop a space, and would have a letter counted twice."""
    return tuple({_key(row.tokens): row for row in rows}.values())


def _key(tokens: Tokens) -> bytes:
    """Orders rows of tokens as they are ordered token by token."""
    return tokens.astype(">i4").tobytes()


def _power_of_two(number: int, least: int) -> int:
    return max(least, 1 << max(0, number - 1).bit_length())
