"""The names that people give to datasets, adapters and picks."""

from typing import Any

from core.project.schema import ProjectDatabase


def one_line(name: str) -> str:
    """A name as a list or a terminal may show it: without ends of lines and signs that steer."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())


def free_name(database: ProjectDatabase, table: Any, name: str, otherwise: str) -> str:
    """The name in one line, numbered where it is taken; `otherwise` where nothing is left of it."""
    taken = {found for (found,) in table.select(table.name).tuples().execute(database)}
    first = candidate = one_line(name) or otherwise
    number = 2
    while candidate in taken:
        candidate, number = f"{first} ({number})", number + 1
    return candidate
