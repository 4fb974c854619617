"""The command about probe suites: which there are, and how to import one from a file."""

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from core.commands.console import counted, opened, print_json, say
from core.errors import UserError

if TYPE_CHECKING:
    from core.project.project import Project
    from core.sycophancy.suites import About


def suites(options: argparse.Namespace) -> None:
    from core.project.project import Project
    from core.sycophancy.suites import BUILT_IN, available

    changes = options.file is not None or options.remove is not None
    if options.file is None and (options.name or options.protocol or options.map or options.skip_bad):
        raise UserError("--name, --protocol, --map and --skip-bad are about a file to import: give one with --import.")
    if options.project is None:
        if changes:
            raise UserError("An imported suite is kept in a project: name its .elenchus file too.")
        _show(BUILT_IN.values(), options.json)
        return
    with opened(Project, options.project, read_only=not changes) as project:
        if options.file is not None:
            _import(project, options)
        elif options.remove is not None:
            _remove(project, options.remove)
        else:
            _show(available(project), options.json)


def _show(found: Iterable["About"], as_json: bool) -> None:
    from core.sycophancy.suites import BUILT_IN

    for about in found:
        if as_json:
            print_json(asdict(about) | {"imported": about.name not in BUILT_IN})
        else:
            count = "" if about.questions is None else f"  {_questions(about.questions)}"
            print(f"{about.name}  {about.protocol}{count}\n    {about.description}")


def _questions(count: int) -> str:
    return "1 question" if count == 1 else f"{count:,} questions"


def _import(project: "Project", options: argparse.Namespace) -> None:
    from core.sycophancy.importing import make_questions, make_suite, preview
    from core.sycophancy.suites import about
    from core.tables import TOLD, UnusableRows

    said = _mapping(options.map)
    table, guess = preview(options.file)
    mapping = (guess.mapping if guess else {}) | said
    protocol = options.protocol or (guess.protocol if guess else "branches")
    made = make_questions(table, protocol, mapping)
    try:
        suite = make_suite(table, options.name or options.file.stem, protocol, mapping, made, options.skip_bad)
    except UnusableRows as error:
        raise UserError(f"{error} --skip-bad leaves it out.\n{_taken(mapping)}") from error
    except UserError as error:
        raise UserError(f"{error}\n{_taken(mapping)}" if not made.questions else str(error)) from error
    project.add_suite(suite)
    known = f" The file is known: {guess.name}." if guess and guess.name else ""
    say(f"Imported “{suite.name}”: {_questions(len(suite.questions))}, asked as {protocol}.{known}")
    if made.faults:
        say(f"Left out: {len(made.faults):,} of {counted(len(table.rows), 'row')}.")
    for fault in made.faults[:TOLD]:
        say(f"  {fault}")
    if options.json:
        _show([about(suite.name, project)], as_json=True)


def _taken(mapping: dict[str, str]) -> str:
    """Which columns were taken for what, and how to say others: a wrong guess is what most bad rows come from."""
    from core.sycophancy.importing import BETWEEN, SEVERAL

    columns = {role: column.split(BETWEEN) if role in SEVERAL else [column] for role, column in mapping.items()}
    taken = [f"{role}: {', '.join(f'“{name}”' for name in names)}" for role, names in columns.items()]
    if "options" not in mapping:
        taken.append("options: no column")
    return (
        f"These columns were taken: {'; '.join(taken)}. Say others with --map, such as "
        '--map options="Option A" --map options="Option B".'
    )


def _mapping(given: list[str]) -> dict[str, str]:
    """Role → column; the columns of one role that is given several times stand together."""
    from core.sycophancy.importing import BETWEEN

    columns: dict[str, list[str]] = {}
    for one in given:
        role, equals, column = one.partition("=")
        if not (role and equals and column):
            raise UserError(f"--map takes ROLE=COLUMN, such as right=answer, and not “{one}”.")
        columns.setdefault(role, []).append(column)
    return {role: BETWEEN.join(names) for role, names in columns.items()}


def _remove(project: "Project", name: str) -> None:
    from core.sycophancy.suites import BUILT_IN

    for suite in project.suites():
        if suite.name == name:
            project.remove_suite(suite.id)
            say(f"“{name}” is no longer in the project. Runs that asked it are kept.")
            return
    if name in BUILT_IN:
        raise UserError(f"“{name}” is built in and cannot be removed.")
    there = ", ".join(f"“{suite.name}”" for suite in project.suites()) or "none"
    raise UserError(f"No suite called “{name}” was imported. Imported are: {there}.")
