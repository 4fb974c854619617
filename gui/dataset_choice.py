"""A choice of what to learn from: accepted questions, countering data, what was frozen before, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QLocale, QSize, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout, QWidget

from core import datasets
from core.errors import UserError
from core.project.project import Project
from core.project.records import GENERATING_RUNS, ExampleFilter
from core.project.tuning import Dataset, DatasetRow
from gui import style
from gui.dataset_words import named, sizes, sizes_words, source_words
from gui.labels import strong
from gui.session import Session
from gui.tuning_words import dataset_of
from gui.words import local_time, run_words, tooltip

MOST_COMPARED = 2_000  # rows of a source: to read more would hold up the window

_SOURCE = Qt.ItemDataRole.UserRole
translate = QCoreApplication.translate


@dataclass(frozen=True)
class Source:
    """Something to learn from: what it is called for `core.datasets.freeze`, and what is said of it."""

    what: str
    name: str
    about: str
    why_not: str = ""  # it cannot be used
    kind: str = ""  # of the run that made it: "counter" or "control"
    frozen: bool = False  # what is held out of it was chosen when it was kept
    size: int = 0  # examples, where that is known


def sources(project: Project, chosen: str = "") -> list[Source]:
    """All that the project has, those of most use first; the dataset that is `chosen` in any case."""
    number, accepted = QLocale().toString, project.count(ExampleFilter(state="accepted"))
    found = [
        Source(
            "accepted",
            translate("DatasetChoice", "Accepted questions"),
            translate("DatasetChoice", "{} examples").format(number(accepted)),
            "" if accepted else translate("DatasetChoice", "none yet: accept some in Questions"),
            size=accepted,
        )
    ]
    for run in reversed(project.runs()):
        if run.request.kind not in GENERATING_RUNS:
            continue
        usable = sum(project.count(ExampleFilter(run_id=run.id, state=state)) for state in ("draft", "accepted"))
        about = translate("DatasetChoice", "{} examples").format(number(usable))
        if isinstance(mixed := run.request.settings.get("mixed"), list) and mixed:
            about += translate("DatasetChoice", ", {} of the project's own with them").format(number(len(mixed)))
        name = translate("DatasetChoice", "Run {}: {}").format(run.id, run_words(run.request.kind))
        why_not = "" if usable else translate("DatasetChoice", "all of them are rejected")
        about += f" · {local_time(run.started_at)}"
        found.append(Source(f"run:{run.id}", name, about, why_not, run.request.kind, size=usable))
    for pick in reversed(project.picks()):
        what = named(project, f"pick:{pick.id}")
        about = translate("DatasetChoice", "{} examples").format(number(pick.size))
        found.append(Source(what, source_words(what), f"{about} · {local_time(pick.created_at)}", size=pick.size))
    offered = {source.what for source in found if not source.why_not and source.size <= MOST_COMPARED}
    for dataset in reversed(project.datasets()):
        hidden = dataset.recipe.get("what") in offered and dataset.name != chosen
        if hidden and _is_unchanged(project, dataset):
            continue
        about = translate("DatasetChoice", "frozen · {}").format(sizes_words(sizes(dataset)))
        found.append(Source(dataset.name, dataset.name, f"{about} · {local_time(dataset.created_at)}", frozen=True))
    return found


def first_choice(project: Project, found: Sequence[Source]) -> str:
    """What is selected to begin with: what this project was tuned on last, else what it is most likely meant for.

    Never the neutral control, unless it was chosen before: a model learns nothing from it that anybody wants.
    """
    usable = [source for source in found if not source.why_not]
    countering = [source.what for source in usable if source.kind == "counter"]
    wanted = [*_last_used(project), *countering, datasets.ACCEPTED]
    offered = {source.what for source in usable}
    return next((what for what in wanted if what in offered), "")


def _last_used(project: Project) -> list[str]:
    """What the newest run learned from: as it is now, else as it was frozen."""
    run = next((run for run in reversed(project.runs()) if run.request.kind == "tune"), None)
    found = dataset_of(project, run) if run else None
    return [str(found.recipe.get("what", "")), found.name] if found else []


def _is_unchanged(project: Project, dataset: Dataset) -> bool:
    """Whether a run kept it by itself, and what it was frozen from still has its very rows, however divided."""
    if dataset.test:
        return False  # a person divided it
    try:
        now = datasets.select(project, str(dataset.recipe["what"]), 0.0)
    except UserError:
        return False  # too few are left
    return (now.name, len(now.rows)) == (dataset.name, dataset.rows) and _texts(now.rows) == _texts(
        project.dataset_rows(dataset.id)
    )


def _texts(rows: Sequence[DatasetRow]) -> set[DatasetRow]:
    return {replace(row, split="train") for row in rows}


class DatasetChoice(QWidget):
    """One source is selected, or none where nothing can be used."""

    changed = Signal()

    def __init__(self, session: Session, chosen: str = "") -> None:
        super().__init__()
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("What to learn from"))
        self.list.setSpacing(1)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._choose = QPushButton(self.tr("F&ile…"))
        self._choose.setToolTip(
            self.tr("Rows of a file: conversations, prompts and answers, worked solutions, or pairs")
        )
        self._choose.setAutoDefault(False)
        self._choose.clicked.connect(self._choose_file)
        head = QHBoxLayout()
        style.spaced(head, 0)
        head.addWidget(strong(self.tr("What to learn from")), 1)
        head.addWidget(self._choose)
        column = QVBoxLayout(self)
        style.spaced(column, 0)
        column.addLayout(head)
        column.addWidget(self.list, 1)
        self.setFocusProxy(self.list)
        with session.reporting():
            found = sources(session.project, chosen)
            for source in found:
                self._add(source)
            self._select(chosen or first_choice(session.project, found))
        self.list.currentItemChanged.connect(lambda: self.changed.emit())

    @property
    def source(self) -> Source | None:
        """What is selected."""
        item = self.list.currentItem()
        return item.data(_SOURCE) if item and not item.data(_SOURCE).why_not else None

    def add_file(self, path: Path) -> None:
        """Takes a file and selects it; whether it can be used is said before it starts."""
        self._add(Source(str(path), path.name, str(path.parent)))
        self.list.setCurrentRow(self.list.count() - 1)

    def _select(self, what: str) -> None:
        """What is called so, where it is there."""
        rows = [row for row in range(self.list.count()) if self.list.item(row).data(_SOURCE).what == what]
        if rows:
            self.list.setCurrentRow(rows[0])

    def _choose_file(self) -> None:
        title = self.tr("Choose a dataset")
        kinds = self.tr("Datasets (*.jsonl *.json *.ndjson *.csv *.tsv *.parquet);;All files (*)")
        name, _ = QFileDialog.getOpenFileName(self, title, str(Path.home()), kinds)
        if name:
            self.add_file(Path(name))

    def _add(self, source: Source) -> None:
        item = QListWidgetItem(f"{source.name}\n{source.why_not or source.about}", self.list)
        item.setData(_SOURCE, source)
        item.setToolTip(tooltip(f"{source.name}\n{source.about}"))
        item.setSizeHint(QSize(0, 2 * self.fontMetrics().height() + 2 * style.SPACE))
        if source.why_not:
            item.setFlags(Qt.ItemFlag.NoItemFlags)
