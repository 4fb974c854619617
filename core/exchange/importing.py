"""Brings the rows of a file into a project as examples: looks through them first, and says which cannot be used."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import core
from core.errors import Cancelled, UserError
from core.exchange import formats
from core.exchange.mapping import Mapping, Read, Unusable, guessed, read
from core.exchange.restoring import Places, restored
from core.project.project import Project
from core.project.records import (
    ALL_KINDS,
    IMPORTED,
    ExampleDraft,
    ExampleFilter,
    Run,
    RunSettings,
    Step,
)
from core.tables import TOLD, Fault, Row, Table, TableFile, UnusableRows

KIND = "import"  # of the run
_CHUNK = 500  # rows that are kept at once


@dataclass(frozen=True)
class Progress:
    """How far it is: the share of the file that was read, rows that can be used, and rows that cannot."""

    share: float
    rows: int
    bad: int
    checking: bool  # nothing is kept yet


@dataclass(frozen=True)
class Looked:
    """What is in a file: rows that can be used, of which `restored` find their evidence in this project, and rows that
    cannot, of which the first are told.
    """

    rows: int
    restored: int
    bad: int
    faults: tuple[Fault, ...]
    sha256: str


@dataclass(frozen=True)
class Imported:
    """What became of a file. `restored` examples found their evidence in a document of the project again."""

    run_id: int
    rows: int
    left_out: int
    faults: tuple[Fault, ...]  # the first of those left out
    restored: int


def open_table(path: Path) -> Table:
    """The beginning of a file, by which a mapping is chosen. Raises UserError when it is no table."""
    return TableFile(path).sample()


def preview(
    table: Table, mapping: Mapping, limit: int = 20, project: Project | None = None
) -> list[ExampleDraft | Fault]:
    """What becomes of the first rows; with the project, evidence that stands there is restored.

    Raises UserError for a mapping that does not fit the file.
    """
    mapping.check(table)
    places = Places(project) if project else None
    return [draft_of(row, mapping, table.path.name, places) for row in table.rows[:limit]]


def look_through(
    project: Project, path: Path, mapping: Mapping, cancelled: Callable[[], bool] = bool
) -> Generator[Progress, None, Looked]:
    """Reads a whole file and keeps nothing: how many rows can be used, and why the others cannot.

    Raises UserError where the file or the mapping is at fault, and Cancelled.
    """
    mapping.check(open_table(path))
    file, places = TableFile(path), Places(project)
    rows = restored = bad = 0
    faults: list[Fault] = []
    for row in file.rows():
        made = draft_of(row, mapping, path.name, places)
        if isinstance(made, Fault):
            bad += 1
            faults += [made] if len(faults) < TOLD else []
        else:
            rows += 1
            restored += made.evidence is not None
        if (rows + bad) % _CHUNK == 0:
            yield Progress(file.done, rows, bad, checking=True)
            if cancelled():
                raise Cancelled("Cancelled before anything was imported.")
    return Looked(rows, restored, bad, tuple(faults), file.sha256())


def bring_in(
    project: Project,
    path: Path,
    mapping: Mapping | None = None,
    state: str = "draft",
    skip_bad: bool = False,
    cancelled: Callable[[], bool] = bool,
) -> Generator[Progress, None, Imported]:
    """Makes an example of each row of a file, as one run of the kind “import”; without a mapping, as it is guessed.

    A row that was exported from a project and whose document is in this one, with the same words at the same place,
    gets back its evidence; what a row says of its origin is kept in any case. Nothing is kept when a row cannot be
    used, unless `skip_bad` leaves it out. An import that was stopped goes on when the same is imported again.
    Raises UserError, which is UnusableRows for bad rows, and Cancelled; what was kept by then stays.
    """
    mapping = mapping or guessed(open_table(path))
    looked = yield from look_through(project, path, mapping, cancelled)
    if looked.bad and not skip_bad:
        raise UnusableRows(path.name, looked.rows + looked.bad, looked.faults, looked.bad)
    if not looked.rows:
        why = f" {looked.faults[0]}" if looked.faults else ""
        raise UserError(f"No row of {path.name} can be used.{why} Is each column what you said it is?")
    run_id = _begun(project, path, mapping, state, looked)
    kept = 0
    ended = "failed"
    try:
        for share, drafts in _chunks(project, path, mapping):
            project.add_examples(run_id, drafts, state)
            kept += len(drafts)
            yield Progress(share, kept, looked.bad, checking=False)
            if cancelled() and kept < looked.rows:
                ended = "cancelled"
                raise Cancelled(
                    f"{kept:,} of {looked.rows:,} rows were imported. Import the same file again to go on with it."
                )
        if TableFile(path).sha256() != looked.sha256:
            raise UserError(f"{path.name} was changed while it was imported. Take back what was imported of it.")
        ended = "finished"
    finally:
        project.finish_run(run_id, ended, {})
    return Imported(run_id, kept, looked.bad, looked.faults, looked.restored)


def earlier(project: Project, sha256: str) -> Run | None:
    """The last run that imported this very file to its end; None when none has."""
    runs = (run for run in reversed(project.runs()) if run.request.kind == KIND and run.state == "finished")
    return next((run for run in runs if run.request.settings.get("sha256") == sha256), None)


def take_back(project: Project, run_id: int) -> int:
    """Rejects all that an import brought in, as one action that can be undone; returns how many.

    Raises UserError when the run was no import.
    """
    if project.run(run_id).request.kind != KIND:
        raise UserError(f"Run {run_id} imported nothing, so there is nothing to take back.")
    return project.set_state(project.example_ids(ExampleFilter(run_id=run_id)), "rejected")


def _begun(project: Project, path: Path, mapping: Mapping, state: str, looked: Looked) -> int:
    """The run that keeps the rows: a new one, or the one that was stopped while it imported the same."""
    settings: dict[str, Any] = {
        "file": path.name,
        "sha256": looked.sha256,
        "mapping": mapping.fields,
        "state": state,
        "rows": looked.rows,
        "left_out": looked.bad,
    }
    stopped = project.last_unfinished_run(KIND)
    if stopped is not None and stopped.request.settings == settings:
        project.resume_run(stopped.id)
        return stopped.id
    return project.start_run(RunSettings(KIND, "", "", "", "", "", "", {}, settings, 0, core.__version__, ""))


def _chunks(project: Project, path: Path, mapping: Mapping) -> Iterator[tuple[float, list[ExampleDraft]]]:
    """The examples that a file gives, some hundreds at a time, with the share of it that was read."""
    file, places = TableFile(path), Places(project)
    drafts: list[ExampleDraft] = []
    for row in file.rows():
        made = draft_of(row, mapping, path.name, places)
        if isinstance(made, Fault):
            continue
        drafts.append(made)
        if len(drafts) == _CHUNK:
            yield file.done, drafts
            drafts = []
    if drafts:
        yield 1.0, drafts


def draft_of(row: Row, mapping: Mapping, file: str, places: Places | None = None) -> ExampleDraft | Fault:
    """The example that a row of a file gives, or why it gives none; without places its evidence is not restored."""
    try:
        made = read(row, mapping)
    except Unusable as reason:
        return Fault(row.number, str(reason))
    draft = _plain(made, row.number, file)
    return restored(draft, made, places) if formats.is_own(made.origin) else draft


def _plain(made: Read, number: int, file: str) -> ExampleDraft:
    """The row as what it says, and no more."""
    *context, (_, question) = made.messages
    origin: dict[str, Any] = made.origin if formats.is_own(made.origin) else {"file": file, "row": number}
    if made.kind in ALL_KINDS:
        origin = {"kind": made.kind} | origin
    if made.origin and origin is not made.origin:
        origin = {formats.KEY: made.origin} | origin
    return ExampleDraft(
        passage_id=None,
        slot=number,
        kind=IMPORTED,
        question=question,
        answer=made.answer,
        evidence=None,
        choices=made.choices,
        context=tuple(context),
        rationale=tuple(Step(text) for text in made.steps),
        rejected=made.rejected,
        rating=made.rating,
        origin=origin,
    )
