"""The commands that make few of many: duplicates, what is held out, and picks."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.commands.console import ProgressLine, counted, followed, interruptible, opened, print_json, say, typed
from core.commands.exchange import mapping_of

if TYPE_CHECKING:
    from core.curation.coverage import Coverage
    from core.curation.duplicates import Group
    from core.curation.leaks import HeldOut, Leak
    from core.project.project import Project
    from core.project.records import Pick, PickRow

SHOWN = 100  # characters of a question


def curate(options: argparse.Namespace) -> None:
    """`elenchus curate`: picks N examples, keeps the pick, and says how it compares with as many at random."""
    from core.curation.pick import PickOptions, pick
    from core.project.project import Project
    from core.worker import Worker

    wanted = PickOptions(
        size=options.pick,
        model=options.model,
        method=options.method,
        quality_weight=options.quality,
        quotas=tuple(map(_quota, options.quota)),
        seed=options.seed,
        state=options.state,
        without_failed=not options.with_failed,
        name=options.name or "",
    )
    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        picked = followed(pick(project, worker, wanted, stopped), ProgressLine("Picking"))
        if options.json:
            print_json(_pick_as_json(picked.pick, picked.rows))
            return
        say(f"Kept the pick “{picked.pick.name}”. {picked.note}".rstrip())
        _print_coverage(picked.coverage, picked.baseline)
        if options.explain:
            _print_rows(project, picked.rows)
        else:
            shown = typed("elenchus", "picks", options.project, "--show", picked.pick.name)
            say(f"{shown} says why each was picked.")


def picks(options: argparse.Namespace) -> None:
    """`elenchus picks`: lists the picks of a project, shows one, or forgets one."""
    from core.curation.coverage import from_json
    from core.project.project import Project

    with opened(Project, options.project, read_only=options.remove is None) as project:
        if options.remove is not None:
            project.remove_pick(_named(project, options.remove).id)
            return
        found = [_named(project, options.show)] if options.show is not None else project.picks()
        for pick in found:
            rows = project.pick_rows(pick.id) if options.show is not None or options.json else ()
            if options.json:
                print_json(_pick_as_json(pick, rows))
                continue
            recipe = pick.recipe
            print(f"{pick.id}  {pick.name}  {pick.size:,} picked  {recipe.get('method', '')}  {pick.created_at[:10]}")
            figures = recipe.get("coverage", {}) if isinstance(recipe.get("coverage"), dict) else {}
            picked, baseline = (from_json(figures.get(name)) for name in ("picked", "baseline"))
            if options.show is not None:
                if picked and baseline:
                    _print_coverage(picked, baseline)
                _print_rows(project, rows)
        if not found:
            say("There are no picks yet. elenchus curate PROJECT --pick N makes one.")


def duplicates(options: argparse.Namespace) -> None:
    """`elenchus duplicates`: groups of examples that ask the same, or those that stand in a held-out set."""
    from core.curation.duplicates import Duplicates, find, keep_best
    from core.curation.leaks import leaks
    from core.errors import UserError
    from core.project.project import Project
    from core.worker import Worker

    if options.against and options.keep_best:
        raise UserError("--keep-best goes without --against: what is held out is not changed. Reject with review.")
    if options.map and not options.against:
        raise UserError("--map says which column of a held-out file is what: name the file with --against.")
    wanted = Duplicates(options.near, options.semantic, options.model)
    writes = options.keep_best or options.model is not None  # vectors are kept
    with (
        opened(Project, options.project, read_only=not writes) as project,
        Worker() as worker,
        interruptible(worker) as stopped,
    ):
        progress = ProgressLine("Comparing")
        if options.against:
            rows = _held_out(project, options.against, options.map)
            _print_leaks(project, followed(leaks(project, worker, rows, wanted, stopped), progress), options.json)
            if own := sum(row.example_id is not None for row in rows):
                say(f"{own:,} of {len(rows):,} held-out rows are examples here, and none is compared with itself.")
            return
        groups = followed(find(project, worker, wanted, stopped), progress)
        _print_groups(project, groups, options.json)
        if options.keep_best:
            undo = typed("elenchus", "undo", project.path)
            say(f"Rejected {counted(keep_best(project, groups), 'duplicate')}. {undo} takes all of it back.")


def _quota(text: str) -> Any:
    from core.curation.pick import Quota
    from core.errors import UserError

    by, _, most = text.partition("=")
    try:
        return Quota(by, float(most))
    except ValueError as error:
        raise UserError(f"“{text}” is no quota. Write it like document=0.3, topic=0.1 or kind=0.5.") from error


def _held_out(project: "Project", what: str, columns: str | None) -> "list[HeldOut]":
    """The rows of a file, or those of a dataset that are not trained on."""
    from core.curation.leaks import of_dataset, of_file
    from core.errors import UserError
    from core.tables import TableFile

    path = Path(what)
    if path.exists():
        mapping = mapping_of(TableFile(path).sample(), columns, answered=False)
        say(f"Taken from {path.name}: {mapping.to_text()}.")
        return of_file(path, mapping)
    if columns:
        raise UserError(f"--map says which column of a file is what, and there is no file “{what}”.")
    if all(dataset.name != what for dataset in project.datasets()):
        raise UserError(f"There is no file “{what}”, and no dataset of this name in {project.path.name}.")
    return of_dataset(project, what)


def _named(project: "Project", given: str) -> "Pick":
    """A pick by its name, or by its number."""
    by_number = given.isdecimal() and all(pick.name != given for pick in project.picks())
    return project.pick(int(given) if by_number else given)


def _pick_as_json(pick: "Pick", rows: "Sequence[PickRow]") -> dict[str, Any]:
    picked = [{"id": row.example_id, "reason": row.reason} for row in rows if not row.baseline]
    baseline = [row.example_id for row in rows if row.baseline]
    return asdict(pick) | {"rows": picked, "baseline": baseline}


def _print_coverage(picked: "Coverage", baseline: "Coverage") -> None:
    """A line a figure: of what was picked, and of as many at random."""
    print(f"{'':<22}{'picked':>12}{'random':>12}")
    for name, value in (
        ("coverage", lambda one: f"{100 * one.coverage:.1f} %"),
        ("of the farthest", lambda one: f"{100 * one.least:.1f} %"),
        ("mean quality", lambda one: f"{one.quality:.3f}"),
        *((f"{by}s", lambda one, by=by: _reached(one, by)) for by in ("document", "topic", "kind")),
    ):
        print(f"{name:<22}{value(picked):>12}{value(baseline):>12}")


def _reached(coverage: "Coverage", by: str) -> str:
    parts = coverage.parts.get(by, ())
    return f"{sum(part.chosen > 0 for part in parts)} of {len(parts)}"


def _print_rows(project: "Project", rows: "Sequence[PickRow]") -> None:
    picked = [row for row in rows if not row.baseline]
    questions = _questions(project, [row.example_id for row in picked])
    for row, question in zip(picked, questions, strict=True):
        print(f"{row.example_id}  {question}\n    {row.reason}")


def _print_groups(project: "Project", groups: "Sequence[Group]", json: bool) -> None:
    for group in groups:
        if json:
            print_json(asdict(group))
            continue
        print(f"{group.kind}  {group.similarity:.3f}  keep {group.best}: {group.why}")
        for id, question in zip(group.ids, _questions(project, group.ids), strict=True):
            print(f"  {'*' if id == group.best else ' '} {id}  {question}")
    rows = sum(len(group.ids) for group in groups)
    say(
        f"{counted(len(groups), 'group')} of {counted(rows, 'example')}." if groups else "No two examples ask the same."
    )


def _print_leaks(project: "Project", found: "Sequence[Leak]", json: bool) -> None:
    questions = _questions(project, [leak.example_id for leak in found])
    for leak, question in zip(found, questions, strict=True):
        if json:
            print_json(asdict(leak))
            continue
        print(f"{leak.kind}  {leak.similarity:.3f}  {leak.example_id}  {question}")
        print(f"    row {leak.row}: {_short(leak.text)}")
    examples = len({leak.example_id for leak in found})
    say(
        f"{examples:,} examples stand in it too. elenchus review PROJECT ID… --reject takes them out."
        if found
        else "No example stands in it."
    )


def _questions(project: "Project", ids: "Sequence[int]") -> Iterator[str]:
    from core.curation.vectors import each_example

    return (_short(one.question) for one in each_example(project, ids))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
