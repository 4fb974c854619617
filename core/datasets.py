"""Freezes examples, or the rows of a file, into a dataset: what is trained on stays known whatever becomes of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

from core.errors import UserError
from core.exchange.export import mixture
from core.exchange.formats import prompt_and_answer
from core.project.project import Project
from core.project.records import GENERATING_RUNS, Example, ExampleFilter
from core.project.tuning import ROLES, Dataset, DatasetRow
from core.sycophancy.counter import FRESH
from core.sycophancy.importing import Fault, UnusableRows
from core.sycophancy.tables import Row, Table, cell_text, read_table

ACCEPTED, RUN = "accepted", "run:"
MOST_HELD_OUT = 1 / 3  # of the rows: a document that is more of them is not held out whole

_SHAREGPT = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Candidate:
    """A row with what it must not be parted from when some are held out, from the widest to the narrowest."""

    row: DatasetRow
    source: str  # a document or a stem
    passage: str


@dataclass(frozen=True)
class Selection:
    """What is to be trained on, before it is kept."""

    name: str
    rows: list[DatasetRow]
    recipe: dict[str, Any]
    dataset: Dataset | None = None  # where it was kept before


def freeze(project: Project, what: str, held_out: float = 0.1, seed: int = 0, skip_bad: bool = False) -> Dataset:
    """Keeps what `select` finds as a dataset of the project; the same again gives the one that is there."""
    chosen = select(project, what, held_out, seed, skip_bad)
    return chosen.dataset or project.add_dataset(chosen.name, chosen.recipe, chosen.rows)


def select(project: Project, what: str, held_out: float = 0.1, seed: int = 0, skip_bad: bool = False) -> Selection:
    """Finds what is to be trained on, and keeps nothing.

    `what` is “accepted”; “run:N”, which is what a run made and mixes in, less what was rejected or quarantined; the
    name of a dataset; or a file of chat messages, prompts and completions, Alpaca, ShareGPT, {input, label, rationale}
    or {prompt, chosen, rejected}. About the share `held_out` of the rows is not trained on: whole documents, or stems
    of what was generated; the same by the same seed. The recipe says how it was divided.

    Raises UserError where there is nothing, or too little; UnusableRows, unless `skip_bad` leaves those out.
    """
    if not 0 <= held_out < 1:
        raise UserError("The share that is held out must be 0 or more and below 1.")
    if what == ACCEPTED:
        found, facts = [_candidate(example) for example in project.iter_examples(ExampleFilter(state="accepted"))], {}
        name = ACCEPTED
    elif what.startswith(RUN) and what.removeprefix(RUN).isdecimal():
        found, facts = _of_run(project, int(what.removeprefix(RUN)))
        name = f"run {what.removeprefix(RUN)}"
    elif os.path.exists(what):  # which takes any text; before a dataset that was made of an older state of the file
        found, facts = _of_file(Path(what), skip_bad)
        name = Path(what).name
    else:
        if all(dataset.name != what for dataset in project.datasets()):
            raise UserError(f"There is no dataset “{what}”, and no file of this name. {_offer(project)}")
        dataset = project.dataset(what)
        return Selection(what, project.dataset_rows(dataset.id), dataset.recipe, dataset)
    kept = _different(found)
    if len(kept) < 2:
        there = "only one example, and tuning needs two or more" if kept else "nothing to train on"
        raise UserError(f"In “{what}” there is {there}. {_offer(project)}")
    rows, divided_by = divide(kept, held_out, seed)
    recipe = {"what": what, "share": held_out, "seed": seed, "divided_by": divided_by}
    recipe |= {"duplicates": len(found) - len(kept)} | facts
    if what == ACCEPTED or what.startswith(RUN):
        name = f"{name}, {len(rows)} rows"
    return Selection(name, rows, recipe)


def describe(chosen: Selection) -> list[str]:
    """What there is to say of it, in sentences."""
    recipe, held_out = chosen.recipe, sum(row.held_out for row in chosen.rows)
    verb = "is" if held_out == 1 else "are"
    said = [f"“{chosen.name}” has {len(chosen.rows):,} rows, of which {held_out:,} {verb} held out"]
    ways = {
        "source": "so that no document, no stem and no question is on both sides",
        "passage": "by passage, for no document is small enough to be held out whole",
        "row": "row by row, for nothing tells which belong together",
    }
    said[0] += f", {ways[way]}." if (way := recipe.get("divided_by")) in ways else "."
    for key, sentence in (
        ("unreviewed", "{} were not reviewed by anybody."),
        ("mixed", "{} are ordinary examples that the run mixes in."),
        ("duplicates", "{} were there twice and count once."),
        ("left_out", "{} could not be used and were left out."),
    ):
        count = recipe.get(key)
        if isinstance(count, int) and count > 0:
            said.append(sentence.format(f"{count:,}"))
    return said


def divide(found: Sequence[_Candidate], share: float, seed: int) -> tuple[list[DatasetRow], str]:
    """The rows with those that are held out marked, and what was not parted: "source", "passage", "row" or nothing.

    No document or stem is on both sides, unless there is but one, or none that is small enough: then no passage is.
    """
    target = max(1, round(share * len(found))) if share else 0
    levels: tuple[tuple[str, Callable[[int], str]], ...] = (
        ("source", lambda place: found[place].source),
        ("passage", lambda place: found[place].passage),
        ("row", str),
    )
    for way, key in levels if target else ():
        groups: dict[str, list[int]] = {}
        for place in range(len(found)):
            groups.setdefault(key(place), []).append(place)
        if out := _drawn(groups, target, min(len(found) - 1, round(MOST_HELD_OUT * len(found)) or 1), seed):
            return [
                replace(one.row, split="validation" if place in out else "train") for place, one in enumerate(found)
            ], way
    return [one.row for one in found], ""


def _drawn(groups: dict[str, list[int]], target: int, most: int, seed: int) -> set[int]:
    """Whole groups, drawn until about `target` places are in them; none where the smallest has more than `most`."""
    names = sorted(groups)
    Random(seed).shuffle(names)
    out: set[int] = set()
    for name in names:
        if len(out) + len(groups[name]) <= target:
            out.update(groups[name])
    if not out:
        smallest = min(names, key=lambda name: len(groups[name]))
        out.update(groups[smallest] if len(groups[smallest]) <= most else ())
    return out


def _different(found: Sequence[_Candidate]) -> list[_Candidate]:
    kept: dict[tuple[Any, ...], _Candidate] = {}
    for one in found:
        kept.setdefault((one.row.messages, one.row.answer, one.row.rejected), one)
    return list(kept.values())


def _of_run(project: Project, run_id: int) -> tuple[list[_Candidate], dict[str, Any]]:
    mixed = mixture(project, run_id)
    states = [project.iter_examples(ExampleFilter(state=state, run_id=run_id)) for state in ("accepted", "draft")]
    own = sorted(chain(*states), key=lambda example: example.id)
    if not own:
        raise UserError(f"Run {run_id} has no examples that may be trained on. {_offer(project)}")
    examples = [*own, *_by_id(project, mixed)]
    unreviewed = sum(example.state == "draft" for example in examples)
    facts = {"run": run_id, "kind": project.run(run_id).request.kind, "mixed": len(mixed), "unreviewed": unreviewed}
    return [_candidate(example) for example in examples], facts


def _by_id(project: Project, ids: Sequence[int]) -> Iterator[Example]:
    for start in range(0, len(ids), 500):
        yield from project.examples_by_id(ids[start : start + 500])


def _candidate(example: Example) -> _Candidate:
    prompt, answer = prompt_and_answer(example)
    rejected = ""
    if example.draft_answer != example.answer:  # by a person, who thought the model's worse
        _, rejected = prompt_and_answer(replace(example, answer=example.draft_answer))
    row = DatasetRow((*example.context, ("user", prompt)), answer, rejected, example_id=example.id)
    stem = next((check.detail for check in example.checks if check.name == FRESH), f"example {example.id}")
    if example.document_id is None:
        return _Candidate(row, f"stem {stem}", f"stem {stem}")
    return _Candidate(row, f"document {example.document_id}", f"passage {example.passage_id}")


def _offer(project: Project) -> str:
    """What there is to train on, as sentences."""
    offered = [f"“{ACCEPTED}” ({count:,} examples)"] if (count := project.counts()["accepted"]) else []
    offered += [f"“{RUN}{run.id}”" for run in project.runs() if run.request.kind in GENERATING_RUNS]
    offered += [f"“{dataset.name}”" for dataset in project.datasets()]
    there = f"There are {', '.join(offered)}" if offered else "No example of this project is accepted yet"
    return f"{there}; or give a file, such as JSON lines of messages."


# Files


def _of_file(path: Path, skip_bad: bool) -> tuple[list[_Candidate], dict[str, Any]]:
    table = read_table(path)
    shape = _shape(table)
    found: list[_Candidate] = []
    faults: list[Fault] = []
    for row in table.rows:
        try:
            found.append(_from_row(row, shape))
        except _Unusable as reason:
            faults.append(Fault(row.number, str(reason)))
    if faults and not skip_bad:
        raise UnusableRows(table, faults)
    if not found:
        raise UserError(f"No row of {path.name} can be used. {faults[0]}")
    return found, {"file": path.name, "sha256": table.sha256, "left_out": len(faults)}


class _Unusable(Exception):
    """Why a row cannot be used."""


def _shape(table: Table) -> Callable[[dict[str, Any]], DatasetRow]:
    """How the rows of a file are written, told from its columns."""
    for needed, shape in _SHAPES:
        if needed <= set(table.columns):
            return shape
    known = "; ".join(", ".join(sorted(needed)) for needed, _ in _SHAPES)
    there = ", ".join(f"“{column}”" for column in table.columns[:12]) or "none"
    raise UserError(f"{table.path.name} is not of a known shape: its columns are {there}. Known are: {known}.")


def _needed(shape: Callable[[dict[str, Any]], DatasetRow]) -> set[str]:
    return next(needed for needed, one in _SHAPES if one is shape)


def _from_row(row: Row, shape: Callable[[dict[str, Any]], DatasetRow]) -> _Candidate:
    if row.fault:
        raise _Unusable(row.fault)
    if lacking := sorted(_needed(shape) - row.cells.keys()):
        raise _Unusable(f"it lacks {' and '.join(f'“{column}”' for column in lacking)}")
    made = shape(row.cells)
    if not made.answer:
        raise _Unusable("its answer is empty")
    if made.rejected == made.answer:
        raise _Unusable("its two answers are the same")
    _check_turns(made.messages)
    said = " ".join(text for role, text in made.messages if role == "user")
    alike = " ".join(said.casefold().split())  # equal questions are kept together
    source = cell_text(row.cells.get("elenchus.evidence.document_sha256")) or alike
    return _Candidate(made, source, alike)


def _check_turns(messages: _Messages) -> None:
    for role, text in messages:
        if role not in ROLES:
            raise _Unusable(f"its role “{role[:40]}” is none of {', '.join(ROLES)}")
        if not text:
            raise _Unusable(f"a text of its {role} is empty")
    spoken = [role for role, _ in messages if role != "system"]
    if any(role == "system" for role, _ in messages[1:]):
        raise _Unusable("its system speaks in the middle")
    if not spoken or spoken != ["user", "assistant"] * (len(spoken) // 2) + ["user"]:
        raise _Unusable("user and assistant do not speak in turn, the user first and the assistant last")


def _turns(cell: Any, role: str, text: str, names: dict[str, str] | None = None) -> _Messages:
    """The (role, text) of a list of objects."""
    if not isinstance(cell, list):
        raise _Unusable("its conversation is not a list")
    turns: list[tuple[str, str]] = []
    for entry in cell:
        if not isinstance(entry, dict) or not isinstance(entry.get(text), str):
            raise _Unusable(f"its conversation has an entry without “{role}” and “{text}”")
        said = cell_text(entry.get(role))
        turns.append((names.get(said, said) if names else said, cell_text(entry[text])))
    return tuple(turns)


def _prompt(cell: Any) -> _Messages:
    """What stands before an answer: a text that the user says, or messages."""
    return _turns(cell, "role", "content") if isinstance(cell, list) else (("user", cell_text(cell)),)


def _answer(cell: Any) -> str:
    """An answer: a text, or messages of which it is the last."""
    return _answered(_turns(cell, "role", "content"))[1] if isinstance(cell, list) else cell_text(cell)


def _answered(turns: _Messages) -> tuple[_Messages, str]:
    """A conversation parted before its last answer."""
    if not turns or turns[-1][0] != "assistant":
        raise _Unusable("its conversation does not end with an answer of the assistant")
    return turns[:-1], turns[-1][1]


def _chat(cells: dict[str, Any]) -> DatasetRow:
    return DatasetRow(*_answered(_turns(cells.get("messages"), "role", "content")))


def _sharegpt(cells: dict[str, Any]) -> DatasetRow:
    return DatasetRow(*_answered(_turns(cells.get("conversations"), "from", "value", _SHAREGPT)))


def _pair(cells: dict[str, Any]) -> DatasetRow:
    prompt = _prompt(cells.get("prompt")) if cells.get("prompt") else ()
    chosen, rejected = cells.get("chosen"), cells.get("rejected")
    if not prompt and isinstance(chosen, list):  # the conversation stands in both
        prompt = _answered(_turns(chosen, "role", "content"))[0]
    made = DatasetRow(prompt, _answer(chosen), _answer(rejected))
    if not made.rejected:
        raise _Unusable("its rejected answer is empty")
    return made


def _completion(cells: dict[str, Any]) -> DatasetRow:
    return DatasetRow(_prompt(cells.get("prompt")), _answer(cells.get("completion")))


def _alpaca(cells: dict[str, Any]) -> DatasetRow:
    """Stanford Alpaca, with LLaMA-Factory's system and history of pairs."""
    asked = "\n\n".join(filter(None, (cell_text(cells.get(key)) for key in ("instruction", "input"))))
    system = cell_text(cells.get("system"))
    turns: list[tuple[str, str]] = [("system", system)] if system else []
    history = cells.get("history") or []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise _Unusable("its history is not a list of pairs")
    for pair in history:
        turns += [("user", cell_text(pair[0])), ("assistant", cell_text(pair[1]))]
    return DatasetRow((*turns, ("user", asked)), cell_text(cells.get("output")))


def _labelled(cells: dict[str, Any]) -> DatasetRow:
    """An input and its label, with the steps to it where they are known."""
    texts = [cell_text(cells.get(key)) for key in ("input", "label", "rationale")]
    return DatasetRow((("user", texts[0]),), texts[1], rationale=texts[2])


_SHAPES: tuple[tuple[set[str], Callable[[dict[str, Any]], DatasetRow]], ...] = (
    ({"messages"}, _chat),
    ({"conversations"}, _sharegpt),
    ({"chosen", "rejected"}, _pair),
    ({"prompt", "completion"}, _completion),
    ({"instruction", "output"}, _alpaca),
    ({"input", "label"}, _labelled),
)
