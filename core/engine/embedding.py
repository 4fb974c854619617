"""Turns texts into vectors: by an embedding model as it was made to, else the mean of a chat model's last states."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.engine.context import Context, Tokens
from core.engine.llama import Model
from core.engine.native import log
from core.engine.shape import Shape
from core.errors import UserError

LONGEST = 2_048  # tokens of a text that count; what follows does not
TOGETHER = 64  # texts in one batch

Vectors = NDArray[np.float32]


class Embedder:
    """Embeds in a context of its own, made when first needed."""

    def __init__(self, model: Model, room: int, threads: int, owns_model: bool = False) -> None:
        """`room` is how many tokens the model was trained for; with `owns_model`, `close` frees it too."""
        self._model, self._threads, self._owns_model = model, threads, owns_model
        self._room = min(room, LONGEST)
        self._context: Context | None = None

    def embed(self, texts: Sequence[str], cancelled: Callable[[], bool]) -> Iterator[tuple[int, Vectors]]:
        """Yields, batch by batch, the index of the first text and the vectors (texts, width), of length one each.

        Ends early, quietly, once `cancelled`. Raises UserError when the model gives no vectors or no valid numbers.
        """
        rows = [self._tokens(text) for text in texts]
        first = 0
        while first < len(rows) and not cancelled():
            count = self._fitting(rows[first:])
            vectors = self._batch(rows[first : first + count], cancelled)
            if vectors is None:
                return
            yield first, vectors
            first += count

    @property
    def closed(self) -> bool:
        """Whether the model's memory was given back."""
        return self._model.pointer is None

    def close(self) -> None:
        """Gives the memory back."""
        if self._context is not None:
            self._context.close()
        self._context = None
        if self._owns_model:
            self._model.close()

    def _tokens(self, text: str) -> Tokens:
        vocabulary = self._model.vocabulary
        tokens = np.array(vocabulary.tokenise(text, whole=True), np.int32)
        if len(tokens) > self._room:  # the last one may be what the model wants at the end of a text
            tokens = np.append(tokens[: self._room - 1], tokens[-1:])
        return tokens if len(tokens) else np.array([max(vocabulary.begin_token, 0)], np.int32)

    def _fitting(self, rows: Sequence[Tokens]) -> int:
        ends = np.cumsum([len(row) for row in rows[:TOGETHER]])
        return max(1, int(np.searchsorted(ends, self._room, side="right")))

    def _batch(self, rows: Sequence[Tokens], cancelled: Callable[[], bool]) -> Vectors | None:
        context = self._ready()
        context.clear()
        context.stop_when(cancelled)
        used = 0
        for number, row in enumerate(rows):
            used = context.put_shared(used, row, 0, (number,), np.ones(len(row), bool))
        if not context.decode(used):
            return None
        vectors = np.stack([context.vector(number) for number in range(len(rows))])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise UserError(
                "The model gives no valid numbers: its weights are damaged. Download it again or choose another model."
            )
        return vectors / np.maximum(lengths, 1e-12)

    def _ready(self) -> Context:
        if self._context is None:
            shape = Shape(
                sequences=TOGETHER,
                cells=self._room,
                outputs=self._room,
                batch=self._room,
                shared=True,
                vectors=True,
                mean=not self._model.pools,
            )
            self._context = Context.create(self._model, shape, self._threads)
            if self._context is None:
                raise UserError(f"There is no memory to make vectors with: {log().reason()}. Close other programs.")
        return self._context
