"""The rationales as a Qt table: of each example how many steps it has, how many cite, and where they lead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from PySide6.QtCore import QObject, Qt

from core.project.records import Example
from gui import style
from gui.example_table import QUESTION, STATE, ExampleTable
from gui.rationale_findings import Finding, Findings
from gui.rationale_words import gain_number, leads_sign, verdict_words

ANSWER, STEPS, CITES, LEADS, GAIN = range(2, 7)


class RationaleTable(ExampleTable):
    """`findings` knows what the checks of the examples that were loaded showed."""

    sorted_by: ClassVar[dict[int, str]] = {STATE: "state"}
    left_out = (CITES, GAIN, ANSWER)
    document_column = None
    letters: ClassVar[dict[int, int]] = {STATE: 4, ANSWER: 15, STEPS: 6, CITES: 6, LEADS: 6, GAIN: 6}

    def __init__(
        self,
        load: Callable[[Sequence[int]], list[Example]],
        label: Callable[[int, int], str],
        findings: Findings,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(load, label, parent)
        self._findings = findings

    def _name_columns(self) -> dict[int, str]:
        return {
            STATE: "",
            QUESTION: self.tr("Question"),
            ANSWER: self.tr("Answer"),
            STEPS: self.tr("Steps"),
            CITES: self.tr("Cites"),
            LEADS: self.tr("Leads"),
            GAIN: self.tr("Gain"),
        }

    def _alignment(self, column: int) -> Qt.AlignmentFlag:
        if column in (STEPS, CITES, GAIN):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if column == LEADS:
            return Qt.AlignmentFlag.AlignCenter
        return super()._alignment(column)

    def _text(self, example: Example, column: int) -> str:
        found = self._finding(example)
        cells = {
            STEPS: str(len(example.rationale)) if example.rationale else "–",
            CITES: str(_citing(example)) if example.rationale else "",
            LEADS: leads_sign(found.leads)[0] if example.rationale else "",
            GAIN: gain_number(found.gain) if found.gain is not None else "",
        }
        return cells[column] if column in cells else super()._text(example, column)

    def _whole(self, example: Example, column: int) -> str:
        if column == ANSWER:
            return example.answer
        if column in (STEPS, CITES):
            return self._steps_words(example)
        if column in (LEADS, GAIN):
            return verdict_words(self._finding(example)) or self.tr("Not checked")
        return super()._whole(example, column)

    def _ink(self, example: Example, column: int) -> Any:
        if column in (LEADS, GAIN):
            return style.colour(leads_sign(self._finding(example).leads)[1] if column == LEADS else "quiet")
        if column in (ANSWER, CITES) or (column == STEPS and not example.rationale):
            return style.colour("quiet")
        return None if column == STEPS else super()._ink(example, column)

    def _finding(self, example: Example) -> Finding:
        return self._findings.of(example.id) if example.rationale else Finding()

    def _steps_words(self, example: Example) -> str:
        if not example.rationale:
            return self.tr("No steps")
        accepted = sum(step.accepted for step in example.rationale)
        text = self.tr("{} steps, {} of which cite the document and {} are accepted")
        return text.format(len(example.rationale), _citing(example), accepted)


def _citing(example: Example) -> int:
    return sum(step.cited is not None for step in example.rationale)
