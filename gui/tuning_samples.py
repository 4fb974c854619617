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
    """One step at a time: at first the one that is kept, or the last one while the run goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._prompts: Sequence[str] = ()
        self._shown: int | None = None  # the step that was shown of itself, and not chosen by the user
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

    def show_samples(
        self, prompts: Sequence[str], samples: Sequence[TuningSample], running: bool, kept: int | None = None
    ) -> None:
        """The answers of another run, or more of the same; `kept`: the step that its adapter is of."""
        before = self.steps.currentData()
        same = list(prompts) == list(self._prompts)
        self._prompts, self._texts = prompts, {}
        for sample in samples:
            self._texts.setdefault(sample.step, {})[sample.prompt] = sample.text
        if before == self._shown or not same or before not in self._texts:
            before = None
        with QSignalBlocker(self.steps):
            self.steps.clear()
            for step in sorted(self._texts):
                if step:
                    words = self.tr("step {} (kept)") if step == kept else self.tr("step {}")
                    self.steps.addItem(words.format(QLocale().toString(step)), step)
            usual = kept if not running and kept in self._texts else max(self._texts, default=None)
            self._shown = usual if before is None else None
            self.steps.setCurrentIndex(self.steps.findData(usual if before is None else before))
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
