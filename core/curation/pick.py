"""Picks N examples that are good and stand for all the others, and says of each why; a random baseline beside it.

C. Zhou and others, “LIMA: less is more for alignment”, arXiv 2305.11206: a thousand examples, of quality and diversity.
"""

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import paths
from core.curation.coverage import BY, Coverage, cover, nearest_chosen
from core.curation.quality import Quality, quality
from core.curation.reckoning import Reckoned, answer, handed_over, received
from core.curation.selection import Chosen, Limit, clients_of, facility_location, k_centre
from core.curation.topics import names, natural, topics
from core.curation.vectors import Vectors, around_mean, each_example, meaning
from core.engine.requests import EngineSettings, Loading
from core.errors import Cancelled, UserError
from core.models.checksum import sha256
from core.models.files import read_model
from core.project.embedding import Progress, embed
from core.project.project import Project
from core.project.records import Example, ExampleFilter, Pick, PickRow
from core.worker import Worker

METHODS = ("facility", "k-centre")
_PICKED_AT_ONCE = 64  # vectors whose cosines with all are held


@dataclass(frozen=True)
class Quota:
    """No document, topic or kind may be more than the share `most` of what is picked, but one example always may."""

    by: str  # one of coverage.BY
    most: float


@dataclass(frozen=True)
class PickOptions:
    """How many are to be picked, of what, and how. `quality_weight`: 0 looks at coverage alone, 1 at quality alone."""

    size: int
    model: Path | None = None  # whose vectors say what is near to what; None: the starter
    method: str = "facility"
    quality_weight: float = 0.5
    quotas: tuple[Quota, ...] = ()
    seed: int = 0
    state: str = "accepted"
    without_failed: bool = True  # leave out those of which a check failed
    name: str = ""
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True)
class Picked:
    """What was picked and kept: its rows with their reasons, then the baseline's; and how well each covers all."""

    pick: Pick
    rows: tuple[PickRow, ...]
    coverage: Coverage
    baseline: Coverage
    note: str = ""  # what there is to say besides, in sentences


@dataclass(frozen=True)
class Made:
    """From the child: the places that were chosen and of the baseline, with all that is to be said of them."""

    places: tuple[int, ...]
    gains: tuple[float, ...]  # see _gains; for k-centre the distance to those before
    topics: tuple[int, ...]  # of every candidate
    names: tuple[str, ...]
    random: tuple[int, ...]
    coverage: Coverage
    baseline: Coverage
    clients: int


@dataclass(frozen=True)
class _Candidate:
    id: int
    meaning: str
    source: tuple[int | None, str]  # its document and the title; of what comes from none, its run
    kind: str


def pick(
    project: Project, worker: Worker, options: PickOptions, cancelled: Callable[[], bool] = bool
) -> Generator[Loading | Progress | Reckoned, None, Picked]:
    """Yields how far it is, keeps what it picks in the project, and returns it.

    Equal options on equal examples give an equal pick. Raises UserError where there are too few, and Cancelled.
    """
    _refuse_impossible(options)
    filter = ExampleFilter(state=options.state, all_passed=options.without_failed)
    rows = [_candidate(one) for one in each_example(project, project.example_ids(filter))]
    if len(rows) < options.size:
        raise UserError(_too_few(len(rows), options))
    model, ids, texts = options.model or paths.starter_model(), [row.id for row in rows], [row.meaning for row in rows]
    known = quality(project, ids)
    groups = {
        "document": _numbered([row.source for row in rows]),
        "kind": _numbered([(row.kind, row.kind) for row in rows]),
    }
    vectors = yield from embed(project, worker, model, texts, cancelled, options.engine)
    with handed_over(vectors) as path:
        made = yield from answer(worker, Made, cancelled, pick_job, texts, path, known.values, groups, options)
    chosen = [PickRow(rows[place].id, False, reason) for place, reason in _reasons(rows, made, known, options)]
    random = [PickRow(rows[place].id, True) for place in made.random]
    note = _note(made, options)
    recipe = _recipe(options, made, note, len(rows)) | {"model": read_model(model).name, "model_sha256": sha256(model)}
    if cancelled():
        raise Cancelled("It was stopped before the pick was kept. Nothing was changed.")
    name = options.name or f"{len(chosen):,} of {len(rows):,}"
    kept = project.add_pick(name, recipe, [*chosen, *random])
    return Picked(kept, (*chosen, *random), made.coverage, made.baseline, note)


# In the child


def pick_job(
    texts: Sequence[str],
    vectors: Path,
    values: NDArray[np.float64],
    groups: Mapping[str, tuple[tuple[str, ...], NDArray[np.int64]]],
    options: PickOptions,
) -> Iterator[Reckoned | Made]:
    """The child's part: topics, the choice, and what it covers. Says nothing in the end when cancelled."""
    from core.worker import cancelled

    rows = around_mean(received(vectors))
    yield Reckoned("topics", 0, len(rows))
    labels = topics(rows, natural(len(rows)), options.seed)
    called = tuple(names(texts, labels))
    by = {**groups, "topic": (called, labels)}
    limits = [Limit(by[quota.by][1], most_of(quota, options.size)) for quota in options.quotas]
    clients = clients_of(len(rows), options.size, options.seed)
    chosen: list[Chosen] = []
    for one in _choose(rows, values, options, limits, clients, cancelled):
        chosen.append(one)
        yield Reckoned("picking", len(chosen), options.size)
    if cancelled():
        return
    places = [one.place for one in chosen]
    k_centre = options.method == "k-centre"
    gains = [one.gain for one in chosen] if k_centre else _gains(rows, places, labels, clients)
    random = sorted(Random(options.seed).sample(range(len(rows)), len(places)))
    coverage, baseline = (cover(nearest_chosen(rows, some), some, values, by) for some in (places, random))
    told = tuple(int(label) for label in labels)
    yield Made(tuple(places), tuple(gains), told, called, tuple(random), coverage, baseline, len(clients))


def most_of(quota: Quota, size: int) -> int:
    """How many of one group a quota allows among so many."""
    return max(1, math.floor(quota.most * size + 1e-9))


def _choose(
    rows: Vectors,
    values: NDArray[np.float64],
    options: PickOptions,
    limits: Sequence[Limit],
    clients: NDArray[np.int64],
    cancelled: Callable[[], bool],
) -> Iterator[Chosen]:
    size, weight = options.size, options.quality_weight
    if options.method == "k-centre":
        return k_centre(rows, size, values, weight, limits, cancelled)
    return facility_location(rows, size, values, weight, limits, clients, cancelled)


def _gains(rows: Vectors, places: Sequence[int], labels: NDArray[np.int64], clients: NDArray[np.int64]) -> list[float]:
    """What each adds to the coverage of its own topic after those before it, 0..1; by every cosine, however small."""
    around, of_clients, gains = rows[clients], labels[clients], []
    covered = np.zeros(len(clients), np.float32)
    for start in range(0, len(places), _PICKED_AT_ONCE):
        some = list(places[start : start + _PICKED_AT_ONCE])
        for place, cosines in zip(some, rows[some] @ around.T, strict=True):
            by = np.maximum(cosines - covered, 0)
            covered += by
            own = by[of_clients == labels[place]]
            gains.append(float(own.sum()) / max(1, len(own)))
    return gains


# In the parent


def _candidate(example: Example) -> _Candidate:
    source = (example.document_id, example.document or f"run {example.run_id}")
    return _Candidate(example.id, meaning(example), source, example.kind)


def _numbered(keys: Sequence[tuple[Any, str]]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names of different (key, name), and the number of each."""
    numbers: dict[tuple[Any, str], int] = {}
    found = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    return tuple(name for _, name in numbers), found


def _reasons(rows: Sequence[_Candidate], made: Made, known: Quality, options: PickOptions) -> Iterator[tuple[int, str]]:
    """The places that were chosen, each with its reason in words."""
    totals = Counter(rows[place].source for place in made.places)
    taken: Counter[tuple[int | None, str]] = Counter()
    for turn, (place, gain) in enumerate(zip(made.places, made.gains, strict=True)):
        source, topic = rows[place].source, made.names[made.topics[place]]
        taken[source] += 1
        said = [_said(gain, topic, options.method, first=not turn)]
        if options.quality_weight:
            said.append(f"quality {known.values[place]:.2f} ({known.reason(place)})")
        if len(totals) > 1:
            said.append(f"{taken[source]} of {totals[source]} picked from “{source[1]}”")
        yield place, "; ".join(said)


def _said(gain: float, topic: str, method: str, first: bool) -> str:
    if method == "facility":
        return f"adds {100 * gain:.1f} % to the coverage of topic “{topic}”"
    if first:
        return f"the choice begins with it, in topic “{topic}”"
    return f"no example picked before it is nearer than {gain:.2f}, in topic “{topic}”"


def _note(made: Made, options: PickOptions) -> str:
    said = []
    if len(made.places) < options.size:
        said.append(
            f"The quotas allow {len(made.places):,} examples and no more: {options.size:,} were asked for. "
            "Raise a quota to get more."
        )
    if options.method == "facility" and made.clients < len(made.topics):
        said.append(f"Coverage was maximised over {made.clients:,} of them that were drawn by the seed.")
    return " ".join(said)


def _recipe(options: PickOptions, made: Made, note: str, candidates: int) -> dict[str, Any]:
    settings = asdict(options)
    kept = ("size", "method", "quality_weight", "quotas", "seed", "state", "without_failed")
    figures = {"picked": asdict(made.coverage), "baseline": asdict(made.baseline)}
    return {name: settings[name] for name in kept} | {
        "quotas": [asdict(quota) for quota in options.quotas],
        "candidates": candidates,
        "clients": made.clients,
        "topics": list(made.names),
        "coverage": figures,
        "note": note,
    }


def _refuse_impossible(options: PickOptions) -> None:
    if options.size < 1:
        raise UserError("Say how many examples to pick: 1 or more.")
    if options.method not in METHODS:
        raise UserError(f"There is no method “{options.method}”. Choose one of {', '.join(METHODS)}.")
    if not 0 <= options.quality_weight <= 1:
        raise UserError("The weight of quality lies between 0, for coverage alone, and 1, for quality alone.")
    for quota in options.quotas:
        if quota.by not in BY or not 0 < quota.most <= 1:
            raise UserError(f"A quota is by one of {', '.join(BY)}, and a share above 0 and up to 1: document=0.3.")


def _too_few(there: int, options: PickOptions) -> str:
    which = f"{options.state} examples" + (" of which no check failed" if options.without_failed else "")
    if not there:
        return f"There are no {which} to pick from. Review some first, or pick from another state."
    return f"There are only {there:,} {which}, and {options.size:,} were to be picked. Pick fewer, or review more."
