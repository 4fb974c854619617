"""What a child process does to a project while a test watches, kills or waits for it.

`python project_child.py TASK PROJECT DATA_FOLDER [ARGUMENT]`. What is acknowledged is a line on stdout, written only
after the call that did it returned.
"""

import os
import sys
from itertools import count
from pathlib import Path

import apsw
from project_material import make_document, make_draft, make_passages, make_settings

from core import paths
from core.errors import UserError
from core.project import opening
from core.project.project import Project


def say(*words: object) -> None:
    """One write of one line: no kill can cut it in two."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def examples(project: Project, start: str) -> None:
    run_id = project.runs()[-1].id if project.runs() else project.start_run(make_settings())
    project.resume_run(run_id)
    for slot in count(int(start)):
        say("example", project.add_example(run_id, make_draft(slot)), slot)


def edits(project: Project, start: str) -> None:
    for number in count(int(start)):
        project.edit_example(1, question=f"version {number}")
        say("edit", number)
        # Killed before the undo, the next child finds the state as it wants it: then there is nothing to undo.
        state = "accepted" if number % 2 else "rejected"
        if number % 5 == 0 and project.set_state([1, 2, 3], state):
            project.undo()


def imports(project: Project, start: str) -> None:
    for number in count(int(start)):
        project.add_document(make_document(str(number), pages=4), make_passages(4), 1200, 200)
        say("document", number)


def hold(project: Project, _: str) -> None:
    """Does one thing for each line of stdin until it ends."""
    say("open", project.read_only)
    for line in sys.stdin:
        say(project.add_example(1, make_draft(int(line))))


def describe(project: Project, _: str) -> None:
    say(project.read_only, project.counts()["draft"], project.notice)


TASKS = {task.__name__: task for task in (examples, edits, imports, hold, describe)}


def die_at_statement(number: int) -> None:
    """Lets the process end, without any tidying, when the migration is about to run its n-th statement."""
    statements = count(1)
    migrate = opening.migrate

    def traced(connection: apsw.Connection) -> None:
        def before(*_: object) -> bool:
            if next(statements) == number:
                os._exit(9)
            return True

        connection.exec_trace = before
        migrate(connection)

    opening.migrate = traced


def main(task: str, project: str, data_folder: str, argument: str = "") -> None:
    paths.data_folder = lambda: Path(data_folder)
    if task == "describe" and os.getuid() == 0:  # root may write anywhere: be nobody
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    if task == "migrate":
        folder, number = argument.split("|")
        opening.MIGRATIONS = Path(folder)
        die_at_statement(int(number))
        Project.open(project).close()
        return
    try:
        with Project.open(project) as opened:
            TASKS[task](opened, argument)
    except UserError as error:
        say(type(error).__name__, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
