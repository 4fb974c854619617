"""Picks a sentence of a passage to be cited, by keyboard: type a few of its letters, or go to it with the arrows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from core.documents.passages import sentences
from core.project.project import Project
from core.project.records import Evidence, PassageRow
from gui import style
from gui.words import tooltip

KEYS = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)  # that go from the field to the list


class SentencePicker(QDialog):
    """After `exec`, `chosen` is what to cite; None makes an inference of the step."""

    def __init__(
        self,
        found: Sequence[Evidence],
        cited: Evidence | None,
        label: Callable[[int], str],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Cite a sentence"))
        self._found = found
        self.search, self.list = QLineEdit(), QListWidget()
        self.search.setAccessibleName(self.tr("Search in the sentences"))
        self.search.setPlaceholderText(self.tr("Type a few letters of the sentence"))
        self.search.setClearButtonEnabled(True)
        self.list.setAccessibleName(self.tr("Sentences of the passage"))
        self.list.setWordWrap(True)
        self.list.setSpacing(2)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.addItem(self.tr("Nothing: the step is an inference"))
        several = len({one.page for one in found}) > 1
        for one in found:
            text = " ".join(one.text.split())
            item = QListWidgetItem(self.tr("{} (page {})").format(text, label(one.page)) if several else text)
            item.setToolTip(tooltip(one.text))
            self.list.addItem(item)
        places = [place for place, one in enumerate(found, 1) if cited and _overlap(one, cited)]
        self.list.setCurrentRow(places[0] if places else min(1, len(found)))
        buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        choose = buttons.addButton(self.tr("&Cite"), QDialogButtonBox.ButtonRole.AcceptRole)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)
        choose.setDefault(True)
        self.search.installEventFilter(self)
        self.search.textChanged.connect(self._filter)
        self.list.itemActivated.connect(lambda _: self.accept())
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.resize(560, 420)
        self.search.setFocus()

    @property
    def chosen(self) -> Evidence | None:
        """What is to be cited."""
        row = self.list.currentRow()
        return self._found[row - 1] if row > 0 else None

    def _filter(self, text: str) -> None:
        """Shows the sentences that have these letters; the inference stays as long as nothing is typed."""
        wanted = " ".join(text.casefold().split())
        for row in range(self.list.count()):
            here = row > 0 and wanted in " ".join(self._found[row - 1].text.casefold().split())
            self.list.setRowHidden(row, bool(wanted) and not here)
        shown = [row for row in range(self.list.count()) if not self.list.isRowHidden(row)]
        if self.list.currentRow() not in shown:
            self.list.setCurrentRow(shown[0] if shown else -1)

    def accept(self) -> None:
        if self.list.currentRow() >= 0:
            super().accept()

    # Qt's own

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and event.key() in KEYS:
            self.list.setFocus()
            self.list.keyPressEvent(event)
            self.search.setFocus()
            return True
        return super().eventFilter(watched, event)


def sentences_of(project: Project, passage: PassageRow) -> list[Evidence]:
    """The sentences of a passage, each with its place on a page. Raises UserError."""
    found = []
    for number, start, end in passage.parts:
        text = project.page_text(passage.document_id, number)[start:end]
        found += [Evidence(number, start + a, start + b, text[a:b]) for a, b in sentences(text)]
    return [one for one in found if one.text.strip()]


def _overlap(one: Evidence, other: Evidence) -> bool:
    return one.page == other.page and one.start < other.end and other.start < one.end
