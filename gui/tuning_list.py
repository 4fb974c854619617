"""The list of adapters, and of the runs that have made none yet or go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QLocale, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from core.project.project import Project
from core.project.records import Run
from core.project.tuning import AdapterRow
from gui import style
from gui.labels import heading
from gui.run_list import LINES, Line, RunDelegate, whole
from gui.tuning_words import dataset_name, held_out_words, state_words, steps_of
from gui.words import local_time, tooltip

_ENTRY = Qt.ItemDataRole.UserRole

_SIGNS = {"running": ("run", "accent"), "finished": ("accept", "quiet"), "failed": ("error", "bad")}

Key = tuple[str, int]  # "run" or "adapter", and its id


@dataclass(frozen=True)
class Entry:
    """An adapter with the run that made it, or a run by itself with how far it is."""

    run: Run
    adapter: AdapterRow | None = None
    done: int = 0  # steps
    total: int = 0

    @property
    def key(self) -> Key:
        """What it is known by while it changes."""
        return ("adapter", self.adapter.id) if self.adapter else ("run", self.run.id)


def entries(project: Project) -> list[Entry]:
    """Runs that did not finish, or whose adapter was removed, then the adapters; the newest first of each."""
    runs = {run.id: run for run in project.runs() if run.request.kind == "tune"}
    adapters = [one for one in project.adapters() if one.run_id in runs]
    made = {adapter.run_id for adapter in adapters}
    alone = [run for run in runs.values() if run.state != "finished" or run.id not in made]
    return [
        *(Entry(run, None, *steps_of(run, project.last_tuning_step(run.id))) for run in reversed(alone)),
        *(Entry(runs[one.run_id], one) for one in reversed(adapters)),
    ]


class TuningList(QListWidget):
    """One entry is selected, or none."""

    chosen = Signal()  # another one

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Entry] = []
        self.setAccessibleName(self.tr("Adapters and runs"))
        self.setIconSize(QSize(20, 20))
        self.setSpacing(1)
        self.setItemDelegate(RunDelegate(self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.setMinimumWidth(200)
        self.currentItemChanged.connect(lambda: self.chosen.emit())

    @property
    def current(self) -> Entry | None:
        """What is selected."""
        item = self.currentItem()
        return item.data(_ENTRY) if item else None

    def show_entries(self, found: Sequence[Entry], wanted: Key | None = None) -> None:
        """What there is; selects what is `wanted`, else leaves the selection where it was, else on the first."""
        before = self.current
        key = wanted or (before.key if before else None)
        with QSignalBlocker(self):
            if [one.key for one in found] != [one.key for one in self._entries]:
                self._fill(found)
            self._entries = list(found)
            places = {one.key: one for one in found}
            rows = [row for row in range(self.count()) if self.item(row).data(_ENTRY) is not None]
            for row, one in zip(rows, found, strict=True):
                self._write(self.item(row), places[one.key])
            self._go_to(key, rows, before.run.id if before and not wanted else None)
        now = self.current
        if (now.key if now else None) != (before.key if before else None):
            self.chosen.emit()

    def select(self, key: Key) -> None:
        """Selects an entry that is there."""
        self.show_entries(self._entries, key)

    def _fill(self, found: Sequence[Entry]) -> None:
        self.clear()
        for title, of_adapters in ((self.tr("Runs"), False), (self.tr("Adapters"), True)):
            group = [one for one in found if (one.adapter is not None) == of_adapters]
            if group:
                self.addItem(heading(title, self))
            for one in group:
                item = QListWidgetItem(self)
                item.setData(_ENTRY, one)
                item.setSizeHint(QSize(0, 3 * self.fontMetrics().height() + 2 * style.SPACE))

    def _go_to(self, key: Key | None, rows: Sequence[int], run: int | None) -> None:
        """Where an entry is; else what came of its run, since an adapter takes the place of the run that made it."""
        alike = [row for row in rows if self.item(row).data(_ENTRY).run.id == run]
        place = next((row for row in rows if self.item(row).data(_ENTRY).key == key), [*alike, *rows, -1][0])
        if place != self.currentRow():
            self.setCurrentRow(place)

    def _write(self, item: QListWidgetItem, entry: Entry) -> None:
        run, adapter = entry.run, entry.adapter
        glyph, meaning = _SIGNS.get(run.state, ("stop", "warning"))
        lines = self._adapter_lines(run, adapter) if adapter else self._run_lines(entry)
        item.setData(_ENTRY, entry)
        item.setData(LINES, lines)
        item.setText("\n".join(map(whole, lines)))
        item.setIcon(style.icon("tuning", "good") if adapter else style.icon(glyph, meaning))
        item.setToolTip(tooltip("\n".join(map(whole, lines))))

    def _adapter_lines(self, run: Run, adapter: AdapterRow) -> list[Line]:
        dataset = dataset_name(run)
        return [
            (adapter.name, "", ""),
            (run.request.model_name, "", f" · {dataset}" if dataset else ""),
            ("", held_out_words(adapter.best_loss), f" · {local_time(adapter.created_at)}"),
        ]

    def _run_lines(self, entry: Entry) -> list[Line]:
        run, number = entry.run, QLocale().toString
        far = f" · {number(entry.done)}/{number(entry.total)}" if run.state == "failed" and entry.total else ""
        return [
            (dataset_name(run), self.tr(", run {}").format(run.id), f" · {local_time(run.started_at)}"),
            (run.request.model_name, "", ""),
            (state_words(run, entry.done, entry.total), far, ""),
        ]

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_entries"):  # icons have its colours
            found, key, self._entries = self._entries, self.current, []
            self.show_entries(found, key.key if key else None)
