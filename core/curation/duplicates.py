"""Finds examples that ask the same, word for word, nearly so or in meaning, and keeps the best of each group."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.curation.links import Links
from core.curation.near import NEAR, Block, near_blocks
from core.curation.quality import quality
from core.curation.reckoning import Reckoned, answer, handed_over, received
from core.curation.vectors import BLOCK, Vectors, asked, each_example, meaning
from core.engine.requests import EngineSettings, Loading
from core.errors import UserError
from core.project.embedding import Progress, embed
from core.project.folding import fold
from core.project.project import Project
from core.project.records import ExampleFilter
from core.worker import Worker

SEMANTIC = 0.95  # cosine from which on two examples are taken to mean the same
KINDS = ("semantic", "near", "exact")  # from the weakest to the strongest
STATES = ("draft", "accepted")  # of the examples that are looked at
MOST_PAIRS = 20_000_000  # that may be alike in meaning: where more are, the threshold tells nothing
_SAMPLE = 1_000  # examples by which that is foreseen


@dataclass(frozen=True)
class Duplicates:
    """What counts as a duplicate: a Jaccard similarity of shingles, and a cosine of the vectors of `model`."""

    near: float = NEAR
    semantic: float = SEMANTIC
    model: Path | None = None  # None: meaning is not looked at
    examples: tuple[int, ...] | None = None  # None: all drafts and accepted ones
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True)
class Group:
    """Examples that are duplicates of each other, or joined by others that are.

    `kind` and `similarity` are those of the least link that holds them together; `best` is the one to keep, for the
    reason `why`.
    """

    kind: str
    ids: tuple[int, ...]
    similarity: float
    best: int
    why: str


@dataclass(frozen=True)
class Found:
    """From the child: places that belong together, with kind and similarity of their least link."""

    groups: tuple[tuple[tuple[int, ...], str, float], ...]


@dataclass(frozen=True)
class _Row:
    """What is compared of one example."""

    id: int
    asked: str
    meaning: str


def find(
    project: Project, worker: Worker, options: Duplicates, cancelled: Callable[[], bool] = bool
) -> Generator[Loading | Progress | Reckoned, None, list[Group]]:
    """Yields how far it is and returns the groups of duplicates, those of the strongest kind first.

    Two examples are duplicates when they ask the same, answers aside: exactly (but for case, spaces and diacritics),
    nearly (3-word shingles), or in meaning (question with answer). Nothing is changed. Raises UserError and Cancelled.
    """
    ids = looked_at(project) if options.examples is None else options.examples
    rows = [_Row(one.id, asked(one), meaning(one)) for one in each_example(project, ids)]
    vectors = None
    if options.model is not None:
        texts = [row.meaning for row in rows]
        vectors = yield from embed(project, worker, options.model, texts, cancelled, options.engine)
    with handed_over(vectors) as path:
        arguments = [row.asked for row in rows], options.near, path, options.semantic
        found = yield from answer(worker, Found, cancelled, duplicates_job, *arguments)
    linked = [(tuple(rows[place].id for place in places), kind, least) for places, kind, least in found.groups]
    verdicts = _verdicts(project, [id for ids, _, _ in linked for id in ids])
    groups = [Group(kind, ids, least, *_best([verdicts[id] for id in ids])) for ids, kind, least in linked]
    return sorted(groups, key=lambda group: (-KINDS.index(group.kind), -group.similarity, group.ids))


def keep_best(project: Project, groups: Sequence[Group]) -> int:
    """Rejects all but the best of each group as one action that can be undone; returns how many were rejected."""
    return project.reject(
        {id: f"duplicate of question {one.best}" for one in groups for id in one.ids if id != one.best}
    )


def pairs_near(texts: Sequence[str], least: float = NEAR) -> list[tuple[int, int, float]]:
    """Links (first, second, Jaccard similarity) between texts that are equal or near; strongest first.

    Not all pairs, of which there may be too many, but the strongest that join whatever such pairs would join: two
    texts are on one side together when they are joined by links.
    """
    links = Links(len(texts))
    links.add(*_equal(texts))
    for _, block in near_blocks(texts, least):
        links.add(*block)
    return list(zip(*(part.tolist() for part in links.strongest()), strict=True))


# In the child


def duplicates_job(
    texts: Sequence[str], near: float, vectors: Path | None, semantic: float
) -> Iterator[Reckoned | Found]:
    """The child's part: links of all kinds, and what they hold together. Says nothing in the end when cancelled."""
    from core.worker import cancelled

    links = Links(len(texts))
    for kind, blocks in (
        ("exact", iter([(len(texts), _equal(texts))])),
        ("near", near_blocks(texts, near, cancelled=cancelled)),
        ("semantic", semantic_blocks(received(vectors), semantic, cancelled) if vectors else iter(())),
    ):
        for done, (first, second, similar) in blocks:
            links.add(first, second, np.clip(similar, 0, 1) + 2 * KINDS.index(kind))
            yield Reckoned(kind, done, len(texts))
    if not cancelled():
        yield Found(tuple((group.places, *_told(group.least)) for group in links.groups()))


def semantic_blocks(
    vectors: Vectors, least: float, cancelled: Callable[[], bool] = bool, apart: int = 0
) -> Iterator[tuple[int, Block]]:
    """Yields how many vectors were compared with all before them, and the pairs whose cosine is `least` or more.

    With `apart`, so many are compared with those behind them only. Reckons all pairs, in blocks of constant memory.
    Raises UserError where so many are alike that it would tell nothing. Ends early once `cancelled`.
    """
    _refuse_sameness(vectors, least)
    ends = apart or len(vectors)
    for start in range(apart, len(vectors), BLOCK):
        rows = vectors[start : start + BLOCK]
        for other in range(0, min(ends, start + BLOCK), BLOCK):
            if cancelled():
                return
            cosines = vectors[other : min(other + BLOCK, ends)] @ rows.T
            first, second = np.nonzero(cosines >= least)
            pairs = first + other, second + start, cosines[first, second].astype(np.float64)
            before = pairs[0] < pairs[1]
            yield min(start + BLOCK, len(vectors)), (pairs[0][before], pairs[1][before], pairs[2][before])


def _equal(texts: Sequence[str]) -> Block:
    """Each text that says the same as an earlier one, linked to the first of them; empty ones are none."""
    firsts: dict[str, int] = {}
    pairs = [(firsts.setdefault(fold(text), place), place) for place, text in enumerate(texts)]
    different = [(first, place) for first, place in pairs if first != place and texts[place].strip()]
    places = np.array(different, np.int64).reshape(-1, 2)
    return places[:, 0], places[:, 1], np.ones(len(places))


def _refuse_sameness(vectors: Vectors, least: float) -> None:
    some = vectors[np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]]
    share = (np.count_nonzero(some @ some.T >= least) - len(some)) / max(1, len(some) * (len(some) - 1))
    if share * len(vectors) ** 2 / 2 > MOST_PAIRS:
        raise UserError(
            f"To this model {share:.0%} of all pairs of questions are alike by {least:g} or more, so that this says "
            "nothing of them. Raise the threshold, or choose a model that was made for embeddings."
        )


def _told(strength: float) -> tuple[str, float]:
    level = min(int(strength // 2), len(KINDS) - 1)
    return KINDS[level], round(strength - 2 * level, 4)


# In the parent


def looked_at(project: Project) -> list[int]:
    """The ids of the examples that are looked at where none are named."""
    return sorted(id for state in STATES for id in project.example_ids(ExampleFilter(state=state)))


@dataclass(frozen=True)
class _Verdict:
    """What speaks for an example, the weightiest first."""

    id: int
    rating: int
    accepted: bool
    quality: float
    evidence: bool
    length: int  # of its answer, in characters


_WHY = {
    "rating": "it is rated {rating} of 5, and no other as high",
    "accepted": "it is accepted, and the others are not",
    "quality": "its quality is the highest ({quality:.2f})",
    "evidence": "it has evidence, and the others have none",
    "length": "its answer is the longest",
}


def _verdicts(project: Project, ids: Sequence[int]) -> dict[int, _Verdict]:
    values = quality(project, ids).values.round(2).tolist()  # as they are told: a reason must be seen to be true
    return {
        one.id: _Verdict(
            one.id, one.rating or 0, one.state == "accepted", value, one.evidence is not None, len(one.answer)
        )
        for one, value in zip(each_example(project, ids), values, strict=True)
    }


def _best(left: list[_Verdict]) -> tuple[int, str]:
    """The one to keep, and what decided it; among which, where one that fell out before has as much."""
    every = left
    for name, why in _WHY.items():
        most, tied = max(getattr(one, name) for one in left), len(left)
        left = [one for one in left if getattr(one, name) == most]
        if len(left) == 1:
            alone = sum(getattr(one, name) >= most for one in every) == 1
            among = "" if alone else f"of the {tied} that are best in what counts more, "
            return left[0].id, among + why.format(**vars(left[0]))
    return min(one.id for one in left), "it is the first of those that are as good"
