"""A model's vocabulary: text to tokens and back, and the tokens that a text may go on with."""

import ctypes
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.native import native


class Vocabulary:
    """Text to tokens and back, in bytes: a character may be split over tokens."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self.size: int = native.llama_vocab_n_tokens(pointer)
        self._pieces: dict[int, bytes] = {}

    def tokenise(self, text: str, *, whole: bool = False, special: bool = False) -> list[int]:
        """`whole` adds what the model wants around a text, `special` reads control tokens by name."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 16
        while True:
            tokens = (native.llama_token * room)()
            count = native.llama_tokenize(self.pointer, data, len(data), tokens, room, whole, special)
            if count >= 0:
                return tokens[:count]
            room = -count

    def beginning(self, text: str, *, special: bool = False) -> list[int]:
        """A text that goes on: with what the model wants at its start, and nothing at its end."""
        tokens = self.tokenise(text, whole=True, special=special)
        return tokens[:-1] if native.llama_vocab_get_add_eos(self.pointer) else tokens

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for a control token."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read(token, special=False)
        return known

    def name(self, token: int) -> str:
        """The text of a token, of a control token as well; empty where there is no such token."""
        return self._read(token, special=True).decode("utf-8", errors="replace") if token >= 0 else ""

    @property
    def begin_token(self) -> int:
        return native.llama_vocab_bos(self.pointer)

    @property
    def end_token(self) -> int:
        return native.llama_vocab_eos(self.pointer)

    @cached_property
    def pieces(self) -> "Pieces":
        """All pieces by their bytes; made when first needed, as it takes a moment for a large vocabulary."""
        return Pieces([self.piece(token) for token in range(self.size)])

    @cached_property
    def beginnings(self) -> "Beginnings":
        """All tokens by the first byte of their pieces; made when first needed."""
        return Beginnings([self.piece(token) for token in range(self.size)])

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return frozenset(token for token in range(self.size) if native.llama_vocab_is_eog(self.pointer, token))

    @cached_property
    def control_names(self) -> tuple[str, ...]:
        """The texts that `special` would read as control tokens."""
        control = (token for token in range(self.size) if native.llama_vocab_is_control(self.pointer, token))
        return tuple(name for token in control if len(name := self.name(token)) > 1)

    def _read(self, token: int, special: bool) -> bytes:
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = native.llama_token_to_piece(self.pointer, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count


class Pieces:
    """Finds the tokens that a text may go on with, without a look at the others."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._tokens: dict[bytes, list[int]] = {}
        lengths: dict[bytes, set[int]] = {}
        for token, piece in enumerate(pieces):
            if piece:
                self._tokens.setdefault(piece, []).append(token)
                lengths.setdefault(piece[:2], set()).add(len(piece))
        self._lengths = {start: sorted(found) for start, found in lengths.items()}
        self.longest = max(map(len, self._tokens), default=0)

    def starting(self, text: bytes, at: int) -> Iterator[int]:
        """The tokens whose bytes stand in `text` at `at`."""
        for start in {text[at : at + 1], text[at : at + 2]}:
            for length in self._lengths.get(start, ()):
                piece = text[at : at + length]
                if len(piece) == length:
                    yield from self._tokens.get(piece, ())


class Beginnings:
    """Finds the tokens that begin with certain bytes."""

    def __init__(self, pieces: list[bytes]) -> None:
        by_byte: list[list[int]] = [[] for _ in range(256)]
        alone: dict[int, int] = {}
        for token, piece in enumerate(pieces):
            if piece:
                by_byte[piece[0]].append(token)
            if len(piece) == 1:
                alone.setdefault(piece[0], token)
        self._by_byte = [np.array(tokens, np.int64) for tokens in by_byte]
        self._byte_of = {token: byte for byte, token in alone.items()}
        self._unknown = [byte for byte in range(256) if byte not in alone]  # no token is just that byte
        self.bytes = np.array(sorted(self._byte_of), np.int64)  # the tokens of a single byte, one for each

    def going_on(self, allowed: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tokens that begin as one of those of a single byte, or with a byte that has no token of its own."""
        first = [self._byte_of[int(token)] for token in allowed]
        found = [self._by_byte[byte] for byte in (*first, *self._unknown)]
        return np.concatenate([self.bytes[:0], *found])
