"""A choice of the rows to export: questions in a state, what a run made, a pick, or a dataset's split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from core.exchange.export import mixture, picked
from core.project.project import Project
from core.project.records import GENERATING_RUNS, STATES, ExampleFilter
from core.project.tuning import SPLITS
from gui import style
from gui.dataset_words import sizes, split_name
from gui.session import Session
from gui.words import run_words, state_name

translate = QCoreApplication.translate


@dataclass(frozen=True)
class Rows:
    """Which rows: as `core.exchange.export` takes them."""

    state: str = "accepted"
    run: int | None = None
    pick: int | None = None
    dataset: str | None = None  # its name
    split: str | None = None  # of the dataset; None: all


class RowSource(QWidget):
    """What is chosen above decides what may be chosen below."""

    changed = Signal()

    def __init__(self, session: Session, dataset: str = "") -> None:
        super().__init__()
        self._session = session
        self.counts: dict[str, int] = {}  # rows of each state, or of each split, of what is chosen
        self.mixed = 0  # rows that a run mixes in
        self.source, self.part = QComboBox(), QComboBox()
        self.source.setAccessibleName(self.tr("From where"))
        self.part.setAccessibleName(self.tr("Which rows"))
        column = QVBoxLayout(self)
        style.spaced(column, 0, style.HALF)
        for box in (self.source, self.part):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            column.addWidget(box)
        with session.reporting():
            for words, rows in _offered(session.project):
                self.source.addItem(words, rows)
        place = next((n for n in range(self.source.count()) if dataset and self._at(n).dataset == dataset), 0)
        self.source.setCurrentIndex(place)
        self.source.setVisible(self.source.count() > 1)
        self._fill()
        self.source.currentIndexChanged.connect(self._choose)
        self.part.currentIndexChanged.connect(lambda: self.changed.emit())

    @property
    def rows(self) -> Rows:
        """What is chosen."""
        found, part = self._at(self.source.currentIndex()), self.part.currentData()
        if found.dataset is not None:
            return Rows(dataset=found.dataset, split=part or None)
        return found if found.pick is not None else Rows(part or "accepted", found.run)

    @property
    def count(self) -> int:
        """How many rows that is, without what a run mixes in."""
        return self.counts.get(self.part.currentData() or "", 0)

    def _at(self, place: int) -> Rows:
        return self.source.itemData(place) or Rows()

    def _choose(self) -> None:
        self._fill()
        self.changed.emit()

    def _fill(self) -> None:
        """The states or splits of what is chosen, each with its number."""
        found, chosen = self._at(self.source.currentIndex()), self.part.currentData()
        with self._session.reporting():
            self.counts, self.mixed = _counted(self._session.project, found), 0
            if found.run is not None:
                self.mixed = len(mixture(self._session.project, found.run))
        with QSignalBlocker(self.part):
            self.part.clear()
            for part, count in self.counts.items():
                name = self.tr("All rows") if not part else state_name(part) if part in STATES else split_name(part)
                self.part.addItem(f"{name} · {self.locale().toString(count)}", part)
            self.part.setCurrentIndex(max(0, self.part.findData(chosen)))


def _offered(project: Project) -> Iterator[tuple[str, Rows]]:
    """All sources, those of most use first."""
    yield translate("RowSource", "Questions of this project"), Rows()
    for dataset in reversed(project.datasets()):
        yield translate("RowSource", "Dataset “{}”").format(dataset.name), Rows(dataset=dataset.name)
    for pick in reversed(project.picks()):
        yield translate("RowSource", "Pick “{}”").format(pick.name), Rows(pick=pick.id)
    for run in reversed(project.runs()):
        if run.request.kind in GENERATING_RUNS:
            words = translate("RowSource", "Run {}: {} with its mixture").format(run.id, run_words(run.request.kind))
            yield words, Rows(run=run.id)


def _counted(project: Project, rows: Rows) -> dict[str, int]:
    """How many rows each part of a source has."""
    if rows.dataset is not None:
        found = sizes(project.dataset(rows.dataset))
        return {"": sum(found.values())} | {split: found[split] for split in SPLITS if found[split]}
    if rows.pick is not None:
        return {"": len(picked(project, rows.pick))}
    states = ("accepted", *(state for state in STATES if state != "accepted"))
    return {state: project.count(ExampleFilter(state=state, run_id=rows.run)) for state in states}
