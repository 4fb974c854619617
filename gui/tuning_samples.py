"""The answers to a run's sample prompts before it began, beside those of a step: what changed while it learned."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QLocale, QSignalBlocker
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from core.project.tuning import TuningSample
from gui import style
from gui.answer_pairs import AnswerPairs
from gui.empty_page import EmptyPage
from gui.labels import caption


class SamplesPage(QWidget):
    """One step at a time; the last one goes along while the run does."""

    def __init__(self) -> None:
        super().__init__()
        self._prompts: Sequence[str] = ()
        self._texts: dict[int, dict[int, str]] = {}  # by step and prompt
        self.steps = QComboBox()
        self.steps.setAccessibleName(self.tr("After which step"))
        self.steps.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.steps.currentIndexChanged.connect(self._show_step)
        self.pairs = AnswerPairs(self.tr("Answers before and after"))
        self.empty = EmptyPage()
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(caption(self.tr("Answered after"), self.steps))
        row.addWidget(self.steps)
        row.addStretch(1)
        shown = QWidget()
        column = QVBoxLayout(shown)
        style.spaced(column, style.SPACE)
        column.addLayout(row)
        column.addWidget(self.pairs, 1)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(shown)
        outer = QVBoxLayout(self)
        style.spaced(outer, 0)
        outer.addWidget(self._pages)

    def show_samples(self, prompts: Sequence[str], samples: Sequence[TuningSample], running: bool) -> None:
        """The answers of another run, or more of the same."""
        last = self.steps.currentIndex() in (-1, self.steps.count() - 1)
        before = None if last or list(prompts) != list(self._prompts) else self.steps.currentData()
        self._prompts, self._texts = prompts, {}
        for sample in samples:
            self._texts.setdefault(sample.step, {})[sample.prompt] = sample.text
        with QSignalBlocker(self.steps):
            self.steps.clear()
            for step in sorted(self._texts):
                if step:
                    self.steps.addItem(self.tr("step {}").format(QLocale().toString(step)), step)
            place = self.steps.findData(before) if before is not None else -1
            self.steps.setCurrentIndex(place if place >= 0 else self.steps.count() - 1)
        self._pages.setCurrentIndex(int(bool(prompts and self._texts)))
        self.empty.say("questions", self._why_empty(running))
        self._show_step()

    def _why_empty(self, running: bool) -> str:
        if not self._prompts:
            return self.tr("This run has no sample prompts")
        return self.tr("No prompt is answered yet") if running else self.tr("It stopped before a prompt was answered")

    def _show_step(self) -> None:
        step = self.steps.currentData()
        self.steps.setEnabled(self.steps.count() > 1)
        base, tuned = self._texts.get(0, {}), self._texts.get(step, {}) if step else {}
        words = self.tr("After step {}").format(QLocale().toString(step)) if step else self.tr("Not answered yet")
        self.pairs.show_heads(self.tr("Base model"), words)
        self.pairs.show_prompts(self._prompts)
        for place in range(len(self._prompts)):
            self.pairs.show_answers(place, base.get(place, ""), tuned.get(place, ""))
