"""The list of frozen datasets: what each is called, how many rows are in its splits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QLocale, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from core.project.tuning import Dataset
from gui import style
from gui.dataset_words import sizes, sizes_words, source_words
from gui.run_list import LINES, Line, RunDelegate, whole
from gui.words import local_time, tooltip

_ENTRY = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Entry:
    """A dataset, and the names of the adapters that were tuned on it."""

    dataset: Dataset
    adapters: tuple[str, ...] = ()


class DatasetList(QListWidget):
    """One dataset is selected, or several; the newest is on top."""

    chosen = Signal()  # others

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Entry] = []
        self.setAccessibleName(self.tr("Datasets"))
        self.setIconSize(QSize(20, 20))
        self.setSpacing(1)
        self.setItemDelegate(RunDelegate(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.setMinimumWidth(200)
        self.itemSelectionChanged.connect(lambda: self.chosen.emit())

    @property
    def selected(self) -> list[Entry]:
        """What is selected, the oldest first."""
        found: list[Entry] = [item.data(_ENTRY) for item in self.selectedItems()]
        return sorted(found, key=lambda entry: entry.dataset.id)

    @property
    def datasets(self) -> list[Dataset]:
        """All that are shown."""
        return [entry.dataset for entry in self._entries]

    def show_datasets(self, datasets: Sequence[Dataset], tuned: Mapping[int, Sequence[str]]) -> None:
        """What there is; what was selected stays so, else the newest is."""
        found = [Entry(one, tuple(tuned.get(one.id, ()))) for one in reversed(datasets)]
        if found == self._entries:
            return
        selected = {entry.dataset.id for entry in self.selected}
        with QSignalBlocker(self):
            self.clear()
            self._entries = found
            for entry in found:
                self._add(entry)
            self._select(selected)
        self.chosen.emit()

    def select(self, dataset_id: int) -> None:
        """Selects a dataset that is there, and no other."""
        with QSignalBlocker(self):
            self._select({dataset_id})
        self.chosen.emit()

    def _select(self, ids: set[int]) -> None:
        rows = [row for row, entry in enumerate(self._entries) if entry.dataset.id in ids] or [0]
        self.clearSelection()
        if self._entries:
            self.setCurrentRow(rows[0])
        for row in rows[: len(self._entries)]:
            self.item(row).setSelected(True)

    def _add(self, entry: Entry) -> None:
        item, lines = QListWidgetItem(self), self._lines(entry)
        item.setData(_ENTRY, entry)
        item.setData(LINES, lines)
        item.setText("\n".join(map(whole, lines)))
        item.setIcon(style.icon("dataset", "good" if entry.adapters else "quiet"))
        item.setToolTip(tooltip("\n".join([*map(whole, lines), *entry.adapters])))
        item.setSizeHint(QSize(0, len(lines) * self.fontMetrics().height() + 2 * style.SPACE))

    def _lines(self, entry: Entry) -> list[Line]:
        dataset, count = entry.dataset, len(entry.adapters)
        tuned = self.tr("1 adapter") if count == 1 else self.tr("{} adapters").format(QLocale().toString(count))
        source = source_words(str(dataset.recipe.get("what", "")))
        return [
            (dataset.name, f" · {tuned}" if count else "", ""),
            ("", sizes_words(sizes(dataset)), ""),
            (source, "", f" · {local_time(dataset.created_at)}"),
        ]

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_entries"):  # icons have its colours
            for row, entry in enumerate(self._entries):
                self.item(row).setIcon(style.icon("dataset", "good" if entry.adapters else "quiet"))
