"""The commands about datasets: freeze one, look at it, compare two."""

import argparse
from typing import TYPE_CHECKING, Any

from core.commands.console import counted, opened, print_json, say
from core.errors import UserError

if TYPE_CHECKING:
    from core.datasets import Change, Difference
    from core.project.project import Project
    from core.project.tuning import Dataset

SHOWN = 200  # characters of a text that is listed
_LISTED = 10  # rows of each kind of difference


def datasets(options: argparse.Namespace) -> None:
    from core.project.project import Project

    with opened(Project, options.project, read_only=True) as project:
        found = project.datasets()
        for dataset in found:
            _show(dataset, options.json)
        if not found:
            say("The project has no datasets yet. elenchus dataset PROJECT freeze NAME makes one.")


def dataset(options: argparse.Namespace) -> None:
    from core.project.project import Project

    work = {"freeze": _freeze, "show": _show_one, "diff": _diff, "rename": _rename, "remove": _remove}[options.work]
    with opened(Project, options.project, read_only=options.work in ("show", "diff")) as project:
        work(project, options)


def _freeze(project: "Project", options: argparse.Namespace) -> None:
    from core import datasets
    from core.tables import UnusableRows

    _, held_out, test = options.split
    how = {"pairs": options.pairs, "allow_probed": options.allow_probed}
    try:
        chosen = datasets.select(
            project, options.what, held_out, options.seed, options.skip_bad, test, options.name, **how
        )
    except UnusableRows as error:
        raise UserError(f"{error} --skip-bad leaves it out.") from error
    kept = chosen.dataset or project.add_dataset(chosen.name, chosen.recipe, chosen.rows)
    for sentence in datasets.describe(chosen):
        say(sentence)
    if kept.name != options.name:
        say(f"It is kept as “{kept.name}”: {_why_other(project, kept, options.name)}")
    _show(kept, options.json)


def _why_other(project: "Project", kept: "Dataset", name: str) -> str:
    taken = any(dataset.name == name for dataset in project.datasets())
    return "there is another dataset of this name." if taken else "the very same rows were frozen before."


def _show_one(project: "Project", options: argparse.Namespace) -> None:
    from core.datasets import describe, select

    found = project.dataset(options.name)
    _show(found, options.json)
    if not options.json:
        for sentence in describe(select(project, found.name)):
            print(f"    {sentence}")
        print(f"    SHA-256 {found.sha256}")
        print(f"    recipe: {', '.join(f'{key} {value}' for key, value in found.recipe.items())}")


def _show(dataset: "Dataset", as_json: bool) -> None:
    train = dataset.rows - dataset.held_out - dataset.test
    if as_json:
        counts = {"train": train, "validation": dataset.held_out, "test": dataset.test}
        told = {"id": dataset.id, "name": dataset.name, "created_at": dataset.created_at, "sha256": dataset.sha256}
        print_json({**told, "rows": dataset.rows, "splits": counts, "recipe": dataset.recipe})
        return
    print(
        f"{dataset.name}  {counted(dataset.rows, 'row')}: {train:,} train, {dataset.held_out:,} validation, "
        f"{dataset.test:,} test  {dataset.created_at[:10]}  {dataset.sha256[:16]}"
    )


def _diff(project: "Project", options: argparse.Namespace) -> None:
    from core.datasets import compare

    found = compare(project, options.before, options.after)
    parts = {name: getattr(found, name) for name in ("added", "removed", "changed", "moved")}
    if options.json:
        counts = {name: len(changes) for name, changes in parts.items()} | {"unchanged": found.unchanged}
        rows = {name: [_as_json(one) for one in changes] for name, changes in parts.items()}
        print_json({"before": options.before, "after": options.after, "counts": counts, "recipe": found.recipe, **rows})
        return
    print(_counts(found))
    for name, changes in parts.items():
        for one in changes if options.all else changes[:_LISTED]:
            print(f"  {name}: {_line(one)}")
        if not options.all and len(changes) > _LISTED:
            say(f"  So are {len(changes) - _LISTED:,} more that were {name}; --all lists them.")
    for key, (before, after) in found.recipe.items():
        print(f"  {key}: {before} → {after}")


def _counts(found: "Difference") -> str:
    return (
        f"{found.before.name} → {found.after.name}: {len(found.added):,} added, {len(found.removed):,} removed, "
        f"{len(found.changed):,} changed, {len(found.moved):,} on another side, {found.unchanged:,} the same"
    )


def _line(one: "Change") -> str:
    row = one.after or one.before
    assert row is not None
    sides = [side.split for side in (one.before, one.after) if side is not None]
    asked, answer = (" ".join(text.split())[:SHOWN] for text in (row.messages[-1][1], row.answer))
    before = " ".join(one.before.answer.split())[:SHOWN] if one.before and one.before.answer != row.answer else ""
    return f"[{' → '.join(dict.fromkeys(sides))}] {asked} → {f'{before} → ' if before else ''}{answer}"


def _as_json(one: "Change") -> dict[str, Any]:
    return {side: row and vars(row) for side, row in vars(one).items()}


def _rename(project: "Project", options: argparse.Namespace) -> None:
    project.rename_dataset(project.dataset(options.name).id, options.new)
    say(f"“{options.name}” is called “{options.new}” now.")


def _remove(project: "Project", options: argparse.Namespace) -> None:
    project.remove_dataset(project.dataset(options.name).id)
    say(f"“{options.name}” is no longer in the project. The examples that it came from are.")
