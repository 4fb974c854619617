"""Finds examples that stand in a held-out set too, word for word, nearly so or in meaning: what must not be learned."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.curation.duplicates import KINDS, Duplicates, looked_at, semantic_blocks
from core.curation.near import near_blocks
from core.curation.reckoning import Reckoned, answer, handed_over, received
from core.curation.vectors import asked, each_example, meaning
from core.engine.requests import Loading
from core.errors import UserError
from core.exchange.mapping import Mapping, Unusable, guessed, read
from core.project.embedding import Progress, embed
from core.project.folding import fold
from core.project.project import Project
from core.tables import Fault, TableFile
from core.worker import Worker


@dataclass(frozen=True)
class HeldOut:
    """A row that must not be trained on. `row` counts from 1, or is the line of its file."""

    row: int
    asked: str
    meaning: str = ""  # question with answer, where that is known
    example_id: int | None = None  # the example that it is a copy of, which is no match of its own


@dataclass(frozen=True)
class Leak:
    """An example that asks what a held-out row asks. `text` is the row's."""

    example_id: int
    row: int
    similarity: float  # Jaccard or cosine, by the kind
    kind: str  # one of duplicates.KINDS, the strongest that fits
    text: str


@dataclass(frozen=True)
class Matches:
    """From the child: (place of the example, place of the row, kind, similarity)."""

    pairs: tuple[tuple[int, int, str, float], ...]


def leaks(
    project: Project,
    worker: Worker,
    held_out: Sequence[HeldOut],
    options: Duplicates,
    cancelled: Callable[[], bool] = bool,
) -> Generator[Loading | Progress | Reckoned, None, list[Leak]]:
    """Yields how far it is and returns every match of an example with a held-out row, surest first.

    What counts as a match is what counts as a duplicate. Nothing is changed. Raises UserError and Cancelled.
    """
    ids = looked_at(project) if options.examples is None else options.examples
    rows = [(one.id, asked(one), meaning(one)) for one in each_example(project, ids)]
    vectors = None
    if options.model is not None:
        texts = [text for _, _, text in rows] + [one.meaning or one.asked for one in held_out]
        vectors = yield from embed(project, worker, options.model, texts, cancelled, options.engine)
    texts = [text for _, text, _ in rows] + [one.asked for one in held_out]
    with handed_over(vectors) as path:
        arguments = texts, len(rows), options.near, path, options.semantic
        found = yield from answer(worker, Matches, cancelled, leaks_job, *arguments)
    made = [
        Leak(rows[place][0], held_out[other].row, similarity, kind, held_out[other].asked)
        for place, other, kind, similarity in found.pairs
        if rows[place][0] != held_out[other].example_id
    ]
    return sorted(made, key=lambda leak: (-KINDS.index(leak.kind), -leak.similarity, leak.example_id, leak.row))


def of_dataset(project: Project, name: str) -> list[HeldOut]:
    """The rows of a dataset that are not trained on. Raises UserError when there is no such dataset."""
    rows = project.dataset_rows(project.dataset(name).id)
    return [
        _held_out(number, row.messages, row.answer, row.example_id)
        for number, row in enumerate(rows, 1)
        if row.split != "train"
    ]


def of_file(path: Path, mapping: Mapping | None = None) -> list[HeldOut]:
    """The questions of a file, with their answers where it has any; without a mapping, as it is guessed.

    Raises UserError where it is not known which column is the question, or any row cannot be read: nobody could say
    that nothing of that has leaked.
    """
    file = TableFile(path)
    table = file.sample()
    mapping = mapping or guessed(table, answered=False)
    mapping.check(table, answered=False)
    found: list[HeldOut] = []
    faults: list[Fault] = []
    for row in file.rows():
        try:
            made = read(row, mapping, answered=False)
            found.append(_held_out(row.number, made.messages, made.answer))
        except Unusable as reason:
            faults.append(Fault(row.number, str(reason)))
    if faults:
        raise UserError(
            f"{len(faults):,} of {len(found) + len(faults):,} rows of {path.name} cannot be read, the first on line "
            f"{faults[0].row}: {faults[0].reason}. Correct the file, so that all of it can be compared."
        )
    return found


def leaks_job(
    texts: Sequence[str], apart: int, near: float, vectors: Path | None, semantic: float
) -> Iterator[Reckoned | Matches]:
    """The child's part: texts up to `apart` are examples, the others held out. No last word when cancelled."""
    from core.worker import cancelled

    found: dict[tuple[int, int], tuple[str, float]] = dict.fromkeys(_equal_across(texts, apart), ("exact", 1.0))
    yield Reckoned("exact", len(texts), len(texts))
    sides = [place < apart for place in range(len(texts))]
    near_ones = near_blocks(texts, near, sides, cancelled) if apart else iter(())
    in_meaning = semantic_blocks(received(vectors), semantic, cancelled, apart) if vectors and apart else iter(())
    for kind, blocks in (("near", near_ones), ("semantic", in_meaning)):
        for done, (first, second, similar) in blocks:
            for place, other, value in zip(first.tolist(), second.tolist(), similar.tolist(), strict=True):
                found.setdefault((place, other), (kind, round(value, 4)))
            yield Reckoned(kind, done, len(texts))
    if not cancelled():
        yield Matches(tuple((place, other - apart, *told) for (place, other), told in found.items()))


def _equal_across(texts: Sequence[str], apart: int) -> Iterator[tuple[int, int]]:
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts[:apart]):
        if said := fold(text):
            places.setdefault(said, []).append(place)
    for other, text in enumerate(texts[apart:], apart):
        yield from ((place, other) for place in places.get(fold(text), ()))


def _held_out(number: int, messages: Sequence[tuple[str, str]], answer: str, example_id: int | None = None) -> HeldOut:
    said = [text for role, text in messages if role != "system"]
    return HeldOut(number, "\n".join(said), f"{said[-1] if said else ''} {answer}".strip(), example_id)
