"""Finds what is to be trained on, and freezes it: rows stay known whatever becomes of the examples they come from."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from core.datasets.dividing import Candidate, Divided, divide, joined_with
from core.datasets.pairs import paired, worse_rated
from core.errors import UserError
from core.exchange.export import mixture, picked
from core.exchange.formats import prompt_and_answer, rejected_answer
from core.exchange.importing import draft_of
from core.exchange.mapping import guessed
from core.project.project import Project
from core.project.records import (
    FRESH,
    GENERATED_KINDS,
    GENERATING_RUNS,
    Example,
    ExampleDraft,
    ExampleFilter,
    rationale_text,
)
from core.project.tuning import Dataset, DatasetRow
from core.tables import TOLD, Fault, TableFile, UnusableRows

ACCEPTED, DRAFT = "accepted", "draft"
RUN, PICK, BASELINE = "run:", "pick:", "baseline:"


@dataclass(frozen=True)
class Selection:
    """What is to be trained on, before it is kept."""

    name: str
    rows: list[DatasetRow]
    recipe: dict[str, Any]
    dataset: Dataset | None = None  # where it was kept before


@dataclass(frozen=True)
class _Found:
    """Candidates, what there is to say of them, and the examples that they are."""

    name: str
    candidates: list[Candidate]
    facts: dict[str, Any] = field(default_factory=dict)
    examples: dict[int, Example] = field(default_factory=dict)


def freeze(
    project: Project,
    what: str,
    held_out: float = 0.1,
    seed: int = 0,
    skip_bad: bool = False,
    test: float = 0.0,
    name: str = "",
    pairs: bool = False,
    allow_probed: bool = False,
) -> Dataset:
    """Keeps what `select` finds as a dataset of the project; the same rows again give the one that is there."""
    chosen = select(project, what, held_out, seed, skip_bad, test, name, pairs, allow_probed)
    return chosen.dataset or project.add_dataset(chosen.name, chosen.recipe, chosen.rows)


def select(
    project: Project,
    what: str,
    held_out: float = 0.1,
    seed: int = 0,
    skip_bad: bool = False,
    test: float = 0.0,
    name: str = "",
    pairs: bool = False,
    allow_probed: bool = False,
) -> Selection:
    """Finds what is to be trained on, and keeps nothing.

    `what` is “accepted” or “draft”; “run:N”, which is what a run made and mixes in; “pick:NAME”, what a pick chose, or
    “baseline:NAME”, the random selection beside it, each less what was rejected or quarantined; the name of a dataset;
    or a file of a known shape. About the shares `held_out` and `test` of the rows are not trained on: whole documents,
    or stems of what was generated, with what is near to them; the same by the same seed. What was asked in a probe, or
    is near to that, is left out unless `allow_probed`. `pairs` keeps just the rows with a worse answer, and looks for
    one among the ratings. The recipe says all of that. A dataset is as it was frozen.

    Raises UserError where there is nothing, or too little; UnusableRows, unless `skip_bad` leaves those out.
    """
    if not (0 <= held_out < 1 and 0 <= test < 1 and held_out + test < 1):
        raise UserError("The shares that are held out must be 0 or more, and below 1 together.")
    found = _found(project, what, skip_bad)
    if isinstance(found, Selection):
        return found
    facts, chosen = dict(found.facts), found.candidates
    if pairs:
        before = len(chosen)
        chosen, whence = paired(chosen, found.examples, worse_rated(project))
        facts |= {"pairs": dict(whence), "unpaired": before - len(chosen)}
    different = _different(chosen)
    facts["duplicates"] = len(chosen) - len(different)
    links = _links(project, different, bool(held_out or test))
    probed = _probed(different, links)
    kept = different if allow_probed else [one for place, one in enumerate(different) if place not in probed]
    if probed:
        facts["probed_kept" if allow_probed else "probed"] = len(probed)
        links = links if allow_probed else _links(project, kept, bool(held_out or test))
    _refuse_too_little(project, what, kept, facts)
    divided = _divided(kept, {"validation": held_out, "test": test}, seed, links.pairs)
    recipe = {"what": what, "share": held_out, "test": test, "seed": seed, "divided_by": divided.by} | facts
    return Selection(name or _name(found.name, what, divided.rows, pairs), divided.rows, recipe)


def describe(chosen: Selection) -> list[str]:
    """What there is to say of it, in sentences."""
    recipe, rows = chosen.recipe, chosen.rows
    held_out, test = (sum(row.split == side for row in rows) for side in ("validation", "test"))
    said = [f"“{chosen.name}” has {len(rows):,} rows, of which {held_out:,} {_are(held_out)} held out"]
    if test:
        said[0] += f" and {test:,} {_are(test)} left for a test"
    ways = {
        "source": "so that no document, no stem and no question, nor what is near to one, is on two sides",
        "passage": "by passage, for no document is small enough to be held out whole",
        "row": "row by row",  # as datasets were that were frozen by older versions
    }
    said[0] += f", {ways[way]}." if (way := recipe.get("divided_by")) in ways else "."
    for side, key, count in (("held out", "share", held_out), ("left for a test", "test", test)):
        if recipe.get(key) and not count:
            said.append(f"Nothing could be {side}: too much of it belongs together.")
    for key, sentence in (
        ("unreviewed", "{} were not reviewed by anybody."),
        ("mixed", "{} are ordinary examples that the run mixes in."),
        ("duplicates", "Left out as there already: {}."),
        ("left_out", "{} could not be used and were left out."),
        ("unpaired", "{} have no worse answer beside theirs and were left out."),
        ("probed", "{} were asked in a probe, or are near to what was, and were left out: it would only be recited."),
        ("probed_kept", "{} were asked in a probe, or are near to what was: a probe of them tells nothing any more."),
    ):
        count = recipe.get(key)
        if isinstance(count, int) and count > 0:
            said.append(sentence.format(f"{count:,}"))
    return [*said, *_whence(recipe.get("pairs"))]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _whence(pairs: object) -> list[str]:
    """Where the worse answers of pairs come from."""
    words = {
        "edits": "answers that a person changed",
        "ratings": "answers that were rated lower",
        "countering": "what a model was misled to",
        "kept": "worse answers that were kept beside theirs",
        "file": "the file",
    }
    if not isinstance(pairs, dict):
        return []
    told = [f"{pairs[key]:,} from {text}" for key, text in words.items() if isinstance(pairs.get(key), int)]
    return [f"The worse answers: {', '.join(told)}."] if told else []


def _name(name: str, what: str, rows: Sequence[DatasetRow], pairs: bool) -> str:
    counted = name != Path(what).name or what in (ACCEPTED, DRAFT)
    count = f"{len(rows)} {'pairs' if pairs else 'rows'}"
    return f"{name}, {count}" if counted or pairs else name


def _refuse_too_little(project: Project, what: str, kept: Sequence[Candidate], facts: dict[str, Any]) -> None:
    if len(kept) >= 2:
        return
    there = "only one example, and tuning needs two or more" if kept else "nothing to train on"
    for key, why in (("unpaired", "have no worse answer beside theirs"), ("probed", "were asked in a probe")):
        if facts.get(key):
            there += f" ({facts[key]:,} {why})"
    raise UserError(f"In “{what}” there is {there}. {_offer(project)}")


# What belongs together


@dataclass(frozen=True)
class _Links:
    """Pairs of places that ask nearly the same, and the places that ask what was probed."""

    pairs: list[tuple[int, int]]
    probed: set[int]


def _links(project: Project, found: Sequence[Candidate], divides: bool) -> _Links:
    """What is near: among the candidates, and to what was ever asked in a probe of the project."""
    stems = project.probed_stems()
    direct = {place for place, one in enumerate(found) if one.stems & stems}
    asked = _probed_questions(project, stems)
    if not (divides or direct or asked):
        return _Links([], direct)
    from core.curation.duplicates import pairs_near

    places = [place for place, one in enumerate(found) if not one.templated]
    near = pairs_near([*(found[place].asked for place in places), *asked])
    places += [-1] * len(asked)
    pairs = [(places[one], places[other]) for one, other, _ in near]
    probed = direct | {max(pair) for pair in pairs if min(pair) < 0 <= max(pair)}
    return _Links([pair for pair in pairs if min(pair) >= 0], probed)


def _divided(found: Sequence[Candidate], shares: dict[str, float], seed: int, links: list[tuple[int, int]]) -> Divided:
    """Divides until nothing near is on two sides: two that only a probe's question joined have no link of their own."""
    from core.curation.near import parted

    places = [place for place, one in enumerate(found) if not one.templated]
    asked = [found[place].asked for place in places]
    while True:
        divided = divide(found, shares, seed, links)
        missed = list(parted(asked, [divided.rows[place].split for place in places])) if divided.by else []
        if not missed:
            return divided
        links = [*links, *((places[one], places[other]) for one, other in missed)]


def _probed(found: Sequence[Candidate], links: _Links) -> set[int]:
    """The places of what was asked in a probe, and of what is near to it."""
    return joined_with(len(found), links.pairs, links.probed) if links.probed else set()


def _probed_questions(project: Project, stems: set[str]) -> list[str]:
    """What was asked: the questions of examples, and stems that are questions themselves."""
    ids = [int(id) for stem in stems if (id := stem.removeprefix("example:")) != stem and id.isdecimal()]
    examples = _by_id(project, [id for id in ids if id < 2**63])
    return sorted({_alike(prompt_and_answer(one)[0]) for one in examples} | {stem for stem in stems if " " in stem})


def _alike(text: str) -> str:
    return " ".join(text.casefold().split())


def _different(found: Sequence[Candidate]) -> list[Candidate]:
    kept: dict[tuple[Any, ...], Candidate] = {}
    for one in found:
        kept.setdefault((one.row.messages, one.row.answer, one.row.rejected), one)
    return list(kept.values())


# Where rows come from


def _found(project: Project, what: str, skip_bad: bool) -> _Found | Selection:
    kind, _, name = what.partition(":")
    if what in (ACCEPTED, DRAFT):
        return _of_examples(what, project.iter_examples(ExampleFilter(state=what)))
    if f"{kind}:" == RUN and name.isdecimal():
        return _of_run(project, int(name))
    if f"{kind}:" in (PICK, BASELINE) and name:
        ids = picked(project, name, f"{kind}:" == BASELINE)
        pick = project.pick(int(name) if name.isdecimal() else name)
        unreviewed = project.count(ExampleFilter(state="draft", pick_id=pick.id)) if f"{kind}:" == PICK else 0
        return _of_examples(f"{kind} {pick.name}", _by_id(project, ids), {"pick": pick.name, "unreviewed": unreviewed})
    if os.path.exists(what):  # which takes any text; before a dataset that was made of an older state of the file
        return _of_file(Path(what), skip_bad)
    if all(dataset.name != what for dataset in project.datasets()):
        raise UserError(f"There is no dataset “{what}”, and no file of this name. {_offer(project)}")
    dataset = project.dataset(what)
    return Selection(what, project.dataset_rows(dataset.id), dataset.recipe, dataset)


def _of_examples(name: str, found: Iterator[Example], facts: dict[str, Any] | None = None) -> _Found:
    examples = {example.id: example for example in found}
    return _Found(name, [_candidate(example) for example in examples.values()], facts or {}, examples)


def _of_run(project: Project, run_id: int) -> _Found:
    mixed = mixture(project, run_id)
    states = [project.iter_examples(ExampleFilter(state=state, run_id=run_id)) for state in ("accepted", "draft")]
    own = sorted(chain(*states), key=lambda example: example.id)
    if not own:
        raise UserError(f"Run {run_id} has no examples that may be trained on. {_offer(project)}")
    examples = [*own, *_by_id(project, mixed)]
    unreviewed = sum(example.state == "draft" for example in examples)
    facts = {"run": run_id, "kind": project.run(run_id).request.kind, "mixed": len(mixed), "unreviewed": unreviewed}
    return _of_examples(f"run {run_id}", iter(examples), facts)


def _by_id(project: Project, ids: Sequence[int]) -> Iterator[Example]:
    for start in range(0, len(ids), 500):
        yield from project.examples_by_id(ids[start : start + 500])


def _candidate(example: Example) -> Candidate:
    made = _made(example, rejected_answer(example), example.id)
    stem = next((check.detail for check in example.checks if check.name == FRESH), "")
    stems = frozenset(filter(None, (stem, f"example:{example.id}", _alike(example.question))))
    if example.document_id is None:
        source = f"stem {stem}" if stem else _told_source(example) or f"example {example.id}"
        return replace(made, source=source, passage=source, stems=stems)
    place = example.evidence
    span = (example.document_id, place.page, place.start, place.end) if place else None
    source, passage = f"document {example.document_sha256}", f"passage {example.passage_id}"
    return replace(made, source=source, passage=passage, stems=stems, span=span)


def _made(example: Example | ExampleDraft, rejected: str, id: int | None = None) -> Candidate:
    prompt, answer = prompt_and_answer(example)
    row = DatasetRow(
        (*example.context, ("user", prompt)), answer, rejected, rationale_text(example.rationale), example_id=id
    )
    said = _alike(" ".join(text for role, text in row.messages if role == "user"))
    return Candidate(row, said, said, said, frozenset((said,)), templated=example.kind in GENERATED_KINDS)


def _told_source(example: Example | ExampleDraft) -> str:
    """The document that an imported row says it comes from; empty when it says none."""
    for key in ("evidence", "passage"):
        told = example.origin.get(key)
        if isinstance(told, dict) and isinstance(told.get("document_sha256"), str):
            return f"document {told['document_sha256']}"
    return ""


def _of_file(path: Path, skip_bad: bool) -> _Found:
    mapping = guessed(TableFile(path).sample())
    file, found, faults, rows, bad = TableFile(path), [], [], 0, 0
    for row in file.rows():
        rows += 1
        draft = draft_of(row, mapping, path.name)
        if isinstance(draft, Fault):
            bad += 1
            faults += [draft] if len(faults) < TOLD else []
            continue
        worse = prompt_and_answer(replace(draft, answer=draft.rejected))[1] if draft.rejected else ""
        made = _made(draft, worse)
        found.append(replace(made, source=_told_source(draft) or made.source))
    if bad and not skip_bad:
        raise UnusableRows(path.name, rows, faults, bad)
    if not found:
        raise UserError(f"No row of {path.name} can be used. {faults[0]}")
    return _Found(path.name, found, {"file": path.name, "sha256": file.sha256(), "left_out": bad})


def _offer(project: Project) -> str:
    """What there is to train on, as sentences."""
    offered = [f"“{ACCEPTED}” ({count:,} examples)"] if (count := project.counts()["accepted"]) else []
    offered += [f"“{RUN}{run.id}”" for run in project.runs() if run.request.kind in GENERATING_RUNS]
    offered += [f"“{dataset.name}”" for dataset in project.datasets()]
    there = f"There are {', '.join(offered)}" if offered else "No example of this project is accepted yet"
    return f"{there}; or give a file, such as JSON lines of messages."
