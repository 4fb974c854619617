"""What of an example is compared: what it asks, what it means, and its vector as seen from the mean of all."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.exchange.formats import prompt_and_answer
from core.project.project import CHUNK, Project
from core.project.records import Example

Vectors = NDArray[np.float32]

BLOCK = 4_096  # rows that are reckoned with at once, where all would be too many


def each_example(project: Project, ids: Sequence[int]) -> Iterator[Example]:
    """The examples with these ids, however many, in this order."""
    for start in range(0, len(ids), CHUNK):
        yield from project.examples_by_id(ids[start : start + CHUNK])


def meaning(example: Example) -> str:
    """The text of which the vector of an example is made."""
    return f"{example.question} {example.answer}"


def asked(example: Example) -> str:
    """All that is said before the answer of an example, but for what the system says, which many have in common.

    As it is exported, so that it can be compared with the rows of datasets and files.
    """
    said = (text for role, text in example.context if role != "system")
    return "\n".join((*said, prompt_and_answer(example)[0]))


def around_mean(vectors: Vectors) -> Vectors:
    """Vectors as seen from their mean, of length one each; one that lies at the mean becomes zero.

    A chat model's vectors all point much the same way, so that any two are alike as they come; from the mean they
    are not. J. Mu and P. Viswanath, “All-but-the-top”, arXiv 1702.01417.
    """
    if not len(vectors):
        return vectors
    moved = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.divide(moved, lengths, out=np.zeros_like(moved), where=lengths > 1e-6)
