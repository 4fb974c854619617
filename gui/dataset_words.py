"""What is said of datasets in the window: their splits, where their rows come from, and a row in full."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QCoreApplication, QLocale

from core import datasets
from core.project.project import Project
from core.project.records import GENERATING_RUNS
from core.project.tuning import SPLITS, Dataset, DatasetRow
from gui.texts import Named
from gui.tuning_words import dataset_of
from gui.words import file_of, run_words

translate = QCoreApplication.translate


def split_name(split: str) -> str:
    """The name of a part of a dataset for the user."""
    names = {
        "train": translate("Datasets", "Train"),
        "validation": translate("Datasets", "Validation"),
        "test": translate("Datasets", "Test"),
    }
    return names.get(split, split)


def sizes(dataset: Dataset) -> dict[str, int]:
    """How many rows are in each split."""
    rest = dataset.rows - dataset.held_out - dataset.test
    return dict(zip(SPLITS, (rest, dataset.held_out, dataset.test), strict=True))


def sizes_words(counts: Mapping[str, int]) -> str:
    """The same in words; a split without rows is left out."""
    number = QLocale().toString
    return " · ".join(f"{split_name(split)} {number(counts[split])}" for split in SPLITS if counts.get(split))


def source_words(what: str) -> str:
    """Where rows were taken from, as a recipe names it: “accepted”, “run:7”, “pick:3”, or a file."""
    kind, _, which = what.partition(":")
    names = {
        "accepted": translate("Datasets", "Accepted questions"),
        "draft": translate("Datasets", "Drafts"),
        "run": translate("Datasets", "Run {}"),
        "pick": translate("Datasets", "Pick “{}”"),
        "baseline": translate("Datasets", "Random rows beside “{}”"),
    }
    return names[kind].format(which) if kind in names and bool(which) == ("{}" in names[kind]) else what


def named(project: Project, what: str) -> str:
    """The same with the name of a pick in place of its id, which says more in a recipe."""
    kind, _, which = what.partition(":")
    if kind not in ("pick", "baseline") or not which.isdecimal():
        return what
    name = project.pick(int(which)).name
    return what if name.isdecimal() else f"{kind}:{name}"


def offered(project: Project) -> list[tuple[str, str]]:
    """What a dataset can be made of: as `core.datasets.freeze` names it, and as the user reads it."""
    found = [(datasets.ACCEPTED, source_words(datasets.ACCEPTED))]
    for pick in reversed(project.picks()):
        sources = (named(project, f"{kind}:{pick.id}") for kind in ("pick", "baseline"))
        found += [(what, source_words(what)) for what in sources]
    for run in reversed(project.runs()):
        if run.request.kind in (*GENERATING_RUNS, "import"):
            words = " · ".join(filter(None, (run_words(run.request.kind), file_of(run))))
            found.append((f"run:{run.id}", f"{source_words(f'run:{run.id}')}: {words}"))
    return [*found, ("draft", source_words("draft"))]


def tuned_on(project: Project) -> dict[int, list[str]]:
    """The names of the adapters that were tuned on each dataset, by its id."""
    found: dict[int, list[str]] = {}
    for adapter in project.adapters():
        dataset = dataset_of(project, project.run(adapter.run_id))
        if dataset is not None:
            found.setdefault(dataset.id, []).append(adapter.name)
    return found


def role_name(role: str) -> str:
    """Who speaks."""
    names = {
        "system": translate("Datasets", "System"),
        "user": translate("Datasets", "User"),
        "assistant": translate("Datasets", "Assistant"),
    }
    return names.get(role, role)


def asked(row: DatasetRow) -> str:
    """What the user says last."""
    return row.messages[-1][1] if row.messages else ""


def texts_of(row: DatasetRow) -> list[Named]:
    """A row in full."""
    return [
        *(Named(role_name(role), text) for role, text in row.messages),
        Named(translate("Datasets", "Steps"), row.rationale),
        Named(translate("Datasets", "Answer"), row.answer),
        Named(translate("Datasets", "Worse answer"), row.rejected),
    ]
