"""Reckoning over many examples in the worker's child: how vectors get there, how far it is, and what came of it."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

from core.curation.vectors import Vectors
from core.errors import Cancelled
from core.worker import Worker

T = TypeVar("T")


@dataclass(frozen=True)
class Reckoned:
    """How far it is. `stage`: "exact", "near", "semantic", "topics" or "picking"."""

    stage: str
    done: int
    total: int


@contextmanager
def handed_over(vectors: Vectors | None) -> Iterator[Path | None]:
    """A file of vectors that the child reads while this lasts: too much for one message.

    They are written as numbers of 16 bits, as the project keeps them.
    """
    if vectors is None:
        yield None
        return
    with TemporaryDirectory(prefix="elenchus-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "vectors.npy"
        np.save(path, vectors.astype(np.float16))
        yield path


def received(path: Path) -> Vectors:
    """The vectors that were handed over, of length one each again."""
    vectors = np.load(path).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def answer(
    worker: Worker, kind: type[T], cancelled: Callable[[], bool], job: Callable[..., Iterator[Any]], *arguments: Any
) -> Generator[Reckoned, None, T]:
    """Yields how far a job is, and returns the one item of this kind that it ends with. Raises Cancelled without it."""
    found: T | None = None
    for item in worker.run(job, *arguments, cancelled=cancelled):
        if isinstance(item, kind):
            found = item
        else:
            yield item
    if found is None or cancelled():
        raise Cancelled("It was stopped before there was a result. Nothing was changed.")
    return found
