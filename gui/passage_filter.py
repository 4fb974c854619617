"""What a filter of passages would do: how sure it is, a threshold, and the passages that are close to it.

It is imported when Curate is first shown, and not before: its charts take a third of a second to load.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QLocale, QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QPushButton, QSlider, QVBoxLayout, QWidget

from core.curation import educational
from core.curation.educational import Fitted
from core.project.records import PassageMark
from gui import style
from gui.charts.chart import Line, percent
from gui.charts.plots import LineChart
from gui.labels import caption, plain, quiet, strong
from gui.session import Session
from gui.words import tooltip

BESIDE = 4  # passages that are shown on either side of the threshold

_ID = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Passages:
    """All passages by their ids and the documents they are of, and what is known of them."""

    documents: dict[int, int]
    titles: dict[int, str]
    marks: dict[int, PassageMark]


class PassageFilter(QWidget):
    """`show_passages` says what is known; the rest is reckoned from it as the threshold moves."""

    aside_wanted = Signal(float)  # the threshold
    passage_wanted = Signal(int)  # the user wants to see one of those that are close

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._passages, self._fitted = Passages({}, {}, {}), None
        self.curve = LineChart(
            session,
            self.tr("How sure the filter is, on passages it had not seen"),
            self.tr("Threshold"),
            words=lambda share: percent(share, 0),
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(5, 95)
        self.slider.setValue(50)
        self.slider.setPageStep(5)
        self.slider.setAccessibleName(self.tr("Threshold"))
        self.slider.valueChanged.connect(lambda _: self._show_threshold())
        self.curve.setToolTip(
            self.tr("Precision: how much of what is kept is worth it. Recall: how much of what is worth it is kept.")
        )
        self.at, self.sure, self.note = caption("", self.slider), plain(), quiet()
        self.aside_button = QPushButton()
        self.aside_button.clicked.connect(lambda: self.aside_wanted.emit(self.threshold))
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(self.at)
        row.addWidget(self.slider, 1)
        row.addWidget(self.aside_button)
        self.beside = QListWidget()
        self.beside.setAccessibleName(self.tr("Passages on either side of the threshold"))
        self.beside.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.beside.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.beside.itemActivated.connect(lambda item: self.passage_wanted.emit(item.data(_ID)))
        self.beside.itemClicked.connect(lambda item: self.passage_wanted.emit(item.data(_ID)))
        self.choice = QWidget()
        below = QVBoxLayout(self.choice)
        style.spaced(below, 0)
        below.addLayout(row)
        for widget in (self.sure, self.note, strong(self.tr("Close to the threshold"))):
            below.addWidget(widget)
        below.addWidget(self.beside, 1)
        column = QVBoxLayout(self)
        style.spaced(column, style.SPACE, style.SPACE)
        column.addWidget(self.curve)
        column.addWidget(self.choice, 1)
        column.addStretch(0)
        self._writable = False

    @property
    def threshold(self) -> float:
        """The least value that is kept."""
        return self.slider.value() / 100

    def show_passages(self, passages: Passages, fitted: Fitted | None, writable: bool) -> None:
        """What is known of passages, and what was learned since the project was opened."""
        self._passages, self._fitted, self._writable = passages, fitted, writable
        self._show_curve()
        self._show_threshold()

    def _show_curve(self) -> None:
        curve = self._fitted.curve if self._fitted else ()
        self.curve.say_empty(
            self.tr("Learn again to see how sure it is.")
            if self._valued()
            else self.tr(
                "Label at least {} passages that are worth it and {} that are not, then learn from them."
            ).format(educational.LEAST, educational.LEAST)
        )
        self.curve.show_lines(
            [
                Line(
                    self.tr("Precision"),
                    [(one.threshold, one.precision) for one in curve if one.precision is not None],
                    "accent",
                    "points",
                ),
                Line(self.tr("Recall"), [(one.threshold, one.recall) for one in curve], "warning"),
            ]
            if curve
            else []
        )
        self.note.setText(self._fitted.note if self._fitted else "")

    def _show_threshold(self) -> None:
        threshold, number = self.threshold, QLocale().toString
        aside, known = self._would_go(threshold), self._valued()
        self.at.setText(self.tr("Keep from {}").format(percent(threshold, 0)))
        self.aside_button.setText(self.tr("Set {} aside").format(number(len(aside))))
        self.aside_button.setEnabled(self._writable and bool(known))
        self.choice.setVisible(bool(known))
        point = min(self._fitted.curve, key=lambda one: abs(one.threshold - threshold)) if self._fitted else None
        words = self.tr("{} of {} passages would be set aside: no questions would be asked of them.").format(
            number(len(aside)), number(len(self._passages.documents))
        )
        if point is not None and point.precision is not None and point.precision_interval is not None:
            words = " ".join(
                (
                    self.tr("Precision {} ({} to {}), recall {} ({} to {}).").format(
                        percent(point.precision, 0),
                        *(percent(end, 0) for end in point.precision_interval),
                        percent(point.recall, 0),
                        *(percent(end, 0) for end in point.recall_interval),
                    ),
                    words,
                )
            )
        self.sure.setText(words if known else "")
        self.curve.look_at(threshold)
        self._show_beside(threshold)

    def _show_beside(self, threshold: float) -> None:
        """The passages that the threshold parts most narrowly."""
        self.beside.clear()
        if not self._session.is_open:
            return
        valued = [(value, id) for id, value in self._valued().items()]
        under = sorted((one for one in valued if one[0] < threshold), reverse=True)[:BESIDE]
        over = sorted(one for one in valued if one[0] >= threshold)[:BESIDE]
        with self._session.reporting():
            for sign, some in (("✓", over[::-1]), ("✕", under)):
                for value, id in some:
                    text = " ".join(self._session.project.passage(id).text.split())
                    item = QListWidgetItem(f"{sign} {percent(value, 0)} · {text[:200]}", self.beside)
                    item.setToolTip(tooltip(text))
                    item.setData(_ID, id)
                    item.setSizeHint(QSize(0, self.fontMetrics().height() + style.SPACE))

    def _valued(self) -> dict[int, float]:
        marks = self._passages.marks.values()
        return {mark.passage_id: mark.value for mark in marks if mark.value is not None}

    def _would_go(self, threshold: float) -> list[int]:
        """The passages that this threshold sets aside: your own label stands above the filter."""
        marks = self._passages.marks.values()
        return [
            mark.passage_id
            for mark in marks
            if (mark.label == 0 if mark.label is not None else mark.value is not None and mark.value < threshold)
        ]
