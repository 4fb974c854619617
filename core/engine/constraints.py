"""What an answer may look like: by a GBNF grammar, or as a piece of a text."""

import ctypes
import re
from bisect import bisect_left
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from core.engine.native import log, native
from core.engine.requests import Span
from core.engine.sampling import Ids, Logits, highest
from core.engine.vocabulary import Vocabulary
from core.errors import UserError

PAGE_BREAK = 0x0C
BEST = 256  # tokens that a grammar looks at before it looks at all

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Constraint(Protocol):
    """Says which tokens may come next. Asked about the one sampled token first; `accept` is told of each once."""

    def allows(self, token: int) -> bool: ...

    def candidates(self, logits: Logits) -> Ids:
        """Tokens that may come next: all that matter by their logits; none when the answer cannot go on."""
        ...

    def accept(self, token: int) -> None: ...

    @property
    def complete(self) -> bool:
        """Whether it is known that nothing but the end can follow."""
        ...

    def close(self) -> None: ...


class Grammar:
    """A GBNF grammar, checked by llama.cpp."""

    complete = False  # not told by llama.cpp: the end of turn is then the only token it allows

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        """Raises UserError when the grammar is not valid."""
        log().clear()
        self._vocabulary = vocabulary
        self._ends = np.array(sorted(vocabulary.ends), np.int64)
        self._sampler: Any = native.llama_sampler_init_grammar(vocabulary.pointer, text.encode(), b"root")
        if not self._sampler:  # a pointer object, NULL inside: never None
            raise UserError(f"The grammar of this request is not valid: {log().reason()}. Correct its rules.")

    def allows(self, token: int) -> bool:
        return bool(self._allowed(np.array([token], np.int64)).size)

    def candidates(self, logits: Logits) -> Ids:
        """Out of the most likely tokens when one of them is allowed; else out of all that begin as the grammar wants.

        A grammar goes through a token from its first byte, and a look at all of a vocabulary of 152,000 takes 60 ms.
        """
        best = highest(logits, BEST)
        allowed = self._allowed(best)
        if allowed.size:
            return np.union1d(allowed, self._allowed(self._ends))
        beginnings = self._vocabulary.beginnings
        others = beginnings.going_on(self._allowed(beginnings.bytes))
        return self._allowed(np.concatenate([others[~np.isin(others, self._ends)], self._ends]))

    def accept(self, token: int) -> None:
        native.llama_sampler_accept(self._sampler, token)  # ends the process if it was not allowed, or twice

    def close(self) -> None:
        if self._sampler:
            native.llama_sampler_free(self._sampler)
        self._sampler = None

    def _allowed(self, tokens: Ids) -> Ids:
        candidates = np.zeros(len(tokens), _CANDIDATE)
        candidates["id"] = tokens
        data = ctypes.cast(candidates.ctypes.data, native.llama_token_data_p)
        array = native.llama_token_data_array(data, len(tokens), -1, False)
        native.llama_sampler_apply(self._sampler, ctypes.byref(array))
        return candidates["id"][np.isfinite(candidates["logit"])].astype(np.int64)


class _Words:
    """A text with every run of white space as one space, and the way back to its characters."""

    def __init__(self, text: str) -> None:
        data = bytearray()
        self.start_of = [0] * (len(text) + 1)  # by character: where what is at or after it begins, in bytes
        self.end_of = [0] * (len(text) + 1)  # where what is before it ends
        end = 0
        for word in re.finditer(r"\S+", text):
            gap = text[end : word.start()]
            start = len(data) + (1 if data else 0)
            self.start_of[end : word.start()] = [start] * len(gap)
            self.end_of[end + 1 : word.start() + 1] = [len(data)] * len(gap)
            if data:
                data.append(PAGE_BREAK if "\f" in gap else 0x20)
            for index in range(word.start(), word.end()):
                self.start_of[index] = len(data)
                data += text[index].encode("utf-8", errors="replace")
                self.end_of[index + 1] = len(data)
            end = word.end()
        self.start_of[end:] = [len(data)] * (len(text) + 1 - end)
        self.end_of[end + 1 :] = [len(data)] * (len(text) - end)
        self.data = bytes(data)


_words = lru_cache(maxsize=64)(_Words)  # many requests ask about one passage


class SpanMatcher:
    """A piece of a text, followed as a set of positions in its bytes at which the answer so far may end.

    It allows what the word-level grammar allows (one rule a word), without native code that could throw, in time that
    does not depend on the vocabulary.
    """

    def __init__(self, span: Span, vocabulary: Vocabulary) -> None:
        """Raises ValueError when no piece of the text begins in `starts` and ends in `ends`."""
        words = _words(span.text)
        self._vocabulary = vocabulary
        # The tightest of several places with the same meaning: white space around a piece does not belong to it.
        self._starts = {words.start_of[index]: index for index in sorted(span.starts)}
        self._ends = {words.end_of[index]: index for index in sorted(span.ends, reverse=True)}
        self._sorted_ends = sorted(self._ends)
        self._text = self._closed(words.data)
        self._positions = {start for start in self._starts if self._end_after(start + 1) is not None}
        self._length = 0
        self._begun = False
        if not self._positions:
            raise ValueError("the span has no place to begin before a place to end")

    def allows(self, token: int) -> bool:
        if token in self._vocabulary.ends:
            return self._may_end()
        return bool(self._next(self._vocabulary.piece(token)))

    def candidates(self, logits: Logits) -> Ids:
        pieces = self._vocabulary.pieces
        found: set[int] = set()
        for position in self._positions:
            found.update(pieces.starting(self._text, position))
            if not self._begun:
                found.update(pieces.starting(b" " + self._text[position : position + pieces.longest], 0))
        tokens = {token for token in found if PAGE_BREAK not in self._vocabulary.piece(token)}
        tokens -= self._vocabulary.ends
        if self._may_end():
            tokens |= self._vocabulary.ends
        return np.array(sorted(tokens), np.int64)

    def accept(self, token: int) -> None:
        piece = self._vocabulary.piece(token)
        self._positions = self._next(piece)
        self._length += len(self._without_lead(piece))
        self._begun = True

    @property
    def complete(self) -> bool:
        return self._length > 0 and all(
            position == len(self._text) or self._text[position] == PAGE_BREAK for position in self._positions
        )

    def close(self) -> None:
        pass

    def found(self) -> tuple[int, int]:
        """Where the answer stands in the span's text; an unfinished one is prolonged to the nearest end."""
        least = 0 if self._length else 1
        ways = [(self._end_after(position + least), position) for position in self._positions]
        _, position, end = min((end - position, position, end) for end, position in ways if end is not None)
        return self._starts[position - self._length], self._ends[end]

    def _next(self, piece: bytes) -> set[int]:
        if not piece or PAGE_BREAK in piece:
            return set()
        rest = self._without_lead(piece)
        starts = self._text.startswith
        return {position + len(rest) for position in self._positions if starts(rest, position)}

    def _without_lead(self, piece: bytes) -> bytes:
        return piece[1:] if not self._begun and piece[:1] == b" " else piece

    def _may_end(self) -> bool:
        return self._length > 0 and not self._positions.isdisjoint(self._ends)

    def _end_after(self, position: int) -> int | None:
        """The first allowed end at or after a position, on the same page."""
        index = bisect_left(self._sorted_ends, position)
        if index == len(self._sorted_ends):
            return None
        end = self._sorted_ends[index]
        return None if PAGE_BREAK in self._text[position - 1 : end] else end

    def _closed(self, data: bytes) -> bytes:
        """The text with a barrier after the last end of each page, so that no answer runs where it cannot end."""
        closed = bytearray(data)
        page_start = 0
        for page in data.split(bytes([PAGE_BREAK])):
            page_end = page_start + len(page)
            index = bisect_left(self._sorted_ends, page_end + 1) - 1
            last = self._sorted_ends[index] if index >= 0 else page_start
            barrier = max(last, page_start)
            if barrier < len(closed):
                closed[barrier] = PAGE_BREAK
            page_start = page_end + 1
        return bytes(closed)


def constrain(constraint: str | Span | None, vocabulary: Vocabulary) -> Constraint | None:
    """The constraint of a request, ready for one answer."""
    if constraint is None:
        return None
    return Grammar(constraint, vocabulary) if isinstance(constraint, str) else SpanMatcher(constraint, vocabulary)
