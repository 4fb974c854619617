"""The commands that write training sets and bring in those of others."""

import argparse
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from core.commands.console import ProgressLine, Stopped, interruptible, opened, print_json, say, typed
from core.errors import Cancelled, UserError

if TYPE_CHECKING:
    from core.exchange.export import Exported
    from core.exchange.importing import Imported, Looked
    from core.exchange.mapping import Mapping
    from core.project.project import Project
    from core.tables import Table


def export(options: argparse.Namespace) -> None:
    from core.exchange.export import export
    from core.project.project import Project

    chosen = {name: getattr(options, name) for name in ("dataset", "pick", "split", "shape")}
    with opened(Project, options.project) as project, interruptible() as stopped:
        progress, done = ProgressLine("Exporting"), None
        rows = export(
            project, options.out, options.format, options.state, options.plain, options.of_run,
            **chosen, guard=not options.formulas, configs=options.config,
        )  # fmt: skip
        for done in rows:
            progress.show(f"{done.rows} of {done.total}")
            if stopped():
                rows.close()  # nothing is there until all of it is
                raise Stopped(f"Nothing was written to {options.out}: an export appears when it is whole.")
        if done is None:
            return
        mixed = f", {done.mixed} of which the run mixes in," if done.mixed else ""
        progress.end(f"Wrote {done.rows} examples{mixed} to {done.path} and a dataset card to {done.card}.")
        if done.together:
            say(f"Rows of all sides are in this one file: {done.together}. --split train writes one side alone.")
        for path in done.configs:
            say(f"Wrote {path}.")
        if options.json:
            print_json(_as_json(done))
        if done.lacking:
            say(f"{done.lacking} have no worse answer beside theirs and were left out.")
        if done.quarantined:
            say(f"{done.quarantined} were quarantined: their evidence was not found at its place in the document.")


def _as_json(done: "Exported") -> dict[str, Any]:
    counts = {name: getattr(done, name) for name in ("rows", "mixed", "lacking", "quarantined")}
    paths = {"path": str(done.path), "card": str(done.card), "configs": [str(path) for path in done.configs]}
    return {**paths, **counts, "splits": dict(done.splits), "kinds": dict(done.kinds)}


def bring_in(options: argparse.Namespace) -> None:
    """`elenchus import`: rows of a file become examples."""
    from core.exchange.importing import open_table, take_back
    from core.project.project import Project

    if (options.file is None) == (options.take_back is None):
        raise UserError("Name a file to import, or a run whose import is to be taken back with --take-back.")
    with opened(Project, options.project) as project, interruptible() as stopped:
        if options.take_back is not None:
            say(f"{take_back(project, options.take_back)} examples of run {options.take_back} are rejected.")
            return
        table = open_table(options.file)
        mapping = mapping_of(table, options.map)
        say(f"Taken from {options.file.name}: {mapping.to_text()}.")
        if options.dry_run:
            _try(project, options, mapping, table, stopped)
        else:
            _import(project, options, mapping, stopped)


def mapping_of(table: "Table", given: str | None, answered: bool = True) -> "Mapping":
    """What the file seems to be, with what `--map` says laid over it; unless `answered`, questions are enough."""
    from core.exchange.mapping import Mapping, guess, guessed

    if not given:
        return guessed(table, answered)
    said = Mapping.from_text(given)
    found = guess(table, answered)
    if found is None or {"question", "conversation"} & said.fields.keys():
        return said
    return Mapping(found.fields | said.fields)


def _import(project: "Project", options: argparse.Namespace, mapping: "Mapping", stopped: Any) -> None:
    from core.exchange.importing import bring_in, earlier
    from core.tables import TableFile, UnusableRows

    if not options.again and (before := earlier(project, TableFile(options.file).sha256())):
        raise UserError(
            f"{options.file.name} was imported already, as run {before.id} of {before.started_at[:10]}. "
            "--again imports it once more."
        )
    steps = bring_in(project, options.file, mapping, options.state, options.skip_bad, stopped)
    try:
        done: Imported = _followed(steps)
    except UnusableRows as error:
        raise UserError(f"{error} --skip-bad leaves it out, and --map says which column is what.") from error
    except Cancelled as cancelled:
        raise Stopped(str(cancelled)) from cancelled
    if options.json:
        print_json({**vars(done), "faults": [str(fault) for fault in done.faults]})
    say(
        f"Imported {done.rows} rows as run {done.run_id}, {options.state}; "
        f"{done.restored} found their evidence in a document of the project again."
    )
    _say_left_out(done.left_out, done.faults)
    say(f"To take it back: {typed('elenchus', 'import', options.project, '--take-back', done.run_id)}")


def _try(project: "Project", options: argparse.Namespace, mapping: "Mapping", table: Any, stopped: Any) -> None:
    """Shows the first rows as they would be, and says how many can be used."""
    from core.exchange.importing import Fault, look_through, preview

    for made in preview(table, mapping, 3, project):
        if isinstance(made, Fault):
            continue
        if options.json:
            print_json({"kind": made.kind, "question": made.question, "answer": made.answer})
            continue
        print(f"{made.slot}  {made.kind}\n    {made.question}\n    → {made.answer}".replace("\r", ""))
        for step in made.rationale:
            print(f"      · {step.text}")
    found: Looked = _followed(look_through(project, options.file, mapping, stopped))
    say(
        f"{found.rows} rows can be used, {found.restored} with evidence in a document of the project. "
        "Nothing was imported."
    )
    _say_left_out(found.bad, found.faults)


def _say_left_out(count: int, faults: Any) -> None:
    if count:
        say(f"Left out: {count}.")
    for fault in faults:
        say(f"  {fault}")
    if count > len(faults):
        say(f"  So are {count - len(faults)} more.")


def _followed(steps: Generator[Any, None, Any]) -> Any:
    """Shows how far an import is; gives its result."""
    progress = ProgressLine("Importing")
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            progress.end()
            return stop.value
        what = "looking through the file" if item.checking else "keeping"
        progress.show(f"{what}, {item.share:.0%}, {item.rows} rows")
