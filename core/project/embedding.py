"""The vectors of texts of a project: those it has, and those that the worker child makes, which are kept in it."""

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.engine import embed_texts
from core.engine.requests import Embedded, EngineSettings, Loading
from core.engine.stepping import HANG_TIMEOUT, SteppingDown
from core.errors import Cancelled
from core.models.checksum import sha256
from core.models.files import read_model
from core.project.project import Project
from core.storable import storable
from core.worker import Worker

CHUNK = 256  # texts that are handed to the child at once: what is made of them is kept before the next

_CHOSEN_FOR_ME = EngineSettings()


@dataclass(frozen=True)
class Progress:
    """Texts whose vectors are there, and all."""

    done: int
    total: int


def embed(
    project: Project,
    worker: Worker,
    model: Path,
    texts: Sequence[str],
    cancelled: Callable[[], bool],
    settings: EngineSettings = _CHOSEN_FOR_ME,
) -> Generator[Loading | Progress, None, NDArray[np.float32]]:
    """Yields how far it is and returns the vectors (texts, width), of length one each; equal texts are asked once.

    A vector is known by the SHA-256 of the model file and of the text; a project that is open to be read only is
    given none. Raises UserError when the model cannot be used, and Cancelled; what was made by then is kept.
    """
    digest = sha256(model, cancelled)
    keys = [hashlib.sha256(storable(text).encode()).hexdigest() for text in texts]
    width = read_model(model).embedding_length
    kept = {key: _sound(vector, width) for key, vector in project.vectors(digest, keys).items()}
    vectors = {key: row for key, row in kept.items() if row is not None}
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
    todo = list(missing.items())
    yield Progress(len(texts) - len(todo), len(texts))
    stepping, options = SteppingDown(worker), {"cancelled": cancelled, "hang_timeout": HANG_TIMEOUT}
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        done = 0
        for item in stepping.run(embed_texts, model, settings, [text for _, text in chunk], **options):
            if not isinstance(item, Embedded):
                yield item
                continue
            made = np.frombuffer(item.vectors, "<f4").reshape(item.count, -1).astype("<f2")
            fresh = {key: row for (key, _), row in zip(chunk[item.first :], made, strict=False)}
            vectors |= fresh
            if not project.read_only:
                project.add_vectors(digest, {key: row.tobytes() for key, row in fresh.items()})
            done = item.first + item.count
            yield Progress(len(texts) - len(todo) + start + done, len(texts))
        if done < len(chunk):
            raise Cancelled("Making vectors was stopped. Those that were made are kept.")
    return _together([vectors[key] for key in keys])


def _sound(kept: bytes, width: int) -> NDArray[np.float16] | None:
    """A vector that was kept, unless a stranger's file holds something else in its place."""
    if len(kept) != 2 * width:
        return None
    row = np.frombuffer(kept, "<f2")
    return row if abs(float(np.linalg.norm(row.astype(np.float32))) - 1) < 0.01 else None


def _together(rows: Sequence[NDArray[np.float16]]) -> NDArray[np.float32]:
    """One array; the rounding to 16 bits leaves each not quite of length one."""
    if not rows:
        return np.zeros((0, 0), np.float32)
    vectors = np.stack(rows).astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
