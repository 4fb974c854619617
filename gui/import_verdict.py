"""What an import would bring in, which rows cannot be used and why, and what is in the way."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from gui import style
from gui.import_check import Checked
from gui.labels import plain, tint
from gui.words import local_time

TOLD = 3  # rows whose faults are told


class ImportVerdict(QWidget):
    """`fits` says whether anything can be imported as it is chosen now."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._checked: Checked | None = None
        self._problem = ""
        self.fits = False
        self.faults, self.skip, self.sum = plain(selectable=True), QCheckBox(), plain()
        self.faults.setAccessibleName(self.tr("Rows that cannot be used"))
        self.sum.setAccessibleName(self.tr("What will be imported"))
        column = QVBoxLayout(self)
        style.spaced(column, 0)
        for widget in (self.faults, self.skip, self.sum):
            column.addWidget(widget)
        self.skip.toggled.connect(self._judge)

    def show_wait(self, words: str = "") -> None:
        """Nothing can be imported yet, and what is still to be done."""
        self._checked, self._problem = None, words
        self._judge()

    def show_checked(self, checked: Checked) -> None:
        """What was found in the file so far."""
        self._checked, self._problem = checked, checked.problem
        self._judge()

    def _judge(self) -> None:
        checked, number = self._checked or Checked(), self.locale().toString
        told = [str(fault) for fault in checked.faults[:TOLD]]
        more = [self.tr("… and {} more").format(number(checked.bad - TOLD))] if checked.bad > TOLD else []
        self.faults.setText("\n".join(told + more))
        self.faults.setVisible(bool(checked.faults))
        self.skip.setVisible(bool(checked.bad and checked.good) or self.skip.isChecked())
        one = self.tr("Leave o&ut 1 row that cannot be used")
        many = self.tr("Leave o&ut {} rows that cannot be used").format(number(checked.bad))
        self.skip.setText(one if checked.bad == 1 else many)
        words, self.fits = self._words()
        self.sum.setText(words)
        self._tint()
        self.changed.emit()

    def _words(self) -> tuple[str, bool]:
        """What there is to say, and whether anything can be imported."""
        checked, number = self._checked, self.locale().toString
        if self._problem or checked is None:
            return self._problem, False
        if not checked.over:
            words = self.tr("Looking through the rows: {} so far, {} %.")
            done = number(checked.good + checked.bad), number(round(100 * checked.share))
            return words.format(*done), self.skip.isChecked() and checked.good > 0
        if not checked.good:
            return self.tr("No row can be used. Is each column what you said it is?"), False
        if checked.bad and not self.skip.isChecked():
            return self.tr("Some rows cannot be used. Leave them out, or choose other columns."), False
        said = [self.tr("Rows to be imported: {}.").format(number(checked.good))]
        if checked.restored:
            said.append(self.tr("{} of them find their evidence in this project.").format(number(checked.restored)))
        if checked.earlier is not None:
            when = local_time(checked.earlier.started_at)
            words = self.tr("This very file was imported before, on {}: each row would be there twice.")
            said.append(words.format(when))
        return " ".join(said), True

    def _tint(self) -> None:
        checked = self._checked or Checked()
        calm = checked.earlier is None if self.fits else not checked.over
        tint(self.sum, "quiet" if calm else "warning")

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "sum"):
            self._tint()
