"""Figures of a pick: how well it stands for all, beside as many at random; by document, topic and kind.

It is imported when Curate is first shown, and not before: its charts take a third of a second to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import QCoreApplication, QLocale, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from core.curation.coverage import Coverage, Part, from_json
from core.project.records import Pick
from gui import style
from gui.charts.chart import Rate, percent
from gui.charts.plots import BarChart
from gui.choice_box import ChoiceBox
from gui.labels import plain, quiet, strong
from gui.probe_overview import Figures
from gui.session import Session
from gui.words import kind_name

MOST_PARTS = 12  # of documents or topics that are drawn, the largest first
INKS = ("quiet", "warning", "accent")  # of all, of what was drawn at random, of what was picked


class PickFigures(QScrollArea):
    """What there is to say of a pick but its rows."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._pick: Pick | None = None
        self.title, self.how, self.note = strong(size=1.15), quiet(selectable=True), plain()
        self.figures = Figures(
            (self.tr("How well they stand for all"), self.tr("Picked"), self.tr("At random")), self.tr("Coverage")
        )
        self.by = ChoiceBox()
        self.by.setAccessibleName(self.tr("Parts"))
        for text, by in (
            (self.tr("By document"), "document"),
            (self.tr("By topic"), "topic"),
            (self.tr("By kind"), "kind"),
        ):
            self.by.addItem(text, by)
        self.by.currentIndexChanged.connect(lambda _: self._show_parts())
        self.bars = BarChart(session, self.tr("What the sets are made of"))
        self.covered = BarChart(session, self.tr("How well each part is covered"))
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, style.SPACE, style.SPACE)
        for widget in (self.title, self.how, self.note, self.figures):
            column.addWidget(widget)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(self.by)
        row.addStretch(1)
        column.addLayout(row)
        column.addWidget(self.bars)
        column.addWidget(self.covered)
        column.addStretch(1)
        self.setAccessibleName(self.tr("Coverage of the pick"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(page)

    def show_pick(self, one: Pick) -> None:
        """Another pick."""
        self._pick = one
        self.title.setText(one.name)
        self.how.setText(how_words(one))
        self.how.setVisible(bool(self.how.text()))
        note = one.recipe.get("note")
        self.note.setText(note if isinstance(note, str) else "")
        self.note.setVisible(bool(self.note.text()))
        self._show_figures()
        self._show_parts()

    def _coverages(self) -> tuple[Coverage | None, Coverage | None]:
        """Of the pick, and of its baseline."""
        kept = self._pick.recipe.get("coverage") if self._pick else None
        sides = kept if isinstance(kept, dict) else {}
        return from_json(sides.get("picked")), from_json(sides.get("baseline"))

    def _show_figures(self) -> None:
        picked, baseline = self._coverages()
        self.figures.setVisible(picked is not None and baseline is not None)
        if picked is None or baseline is None:
            return
        both, rows, meanings = (picked, baseline), [], []
        some = self.tr("Of which at least one question is in the set.")
        for name, meaning, values in (
            (
                self.tr("Coverage"),
                self.tr("The mean over all questions of the cosine with the nearest one of the set, 0 at least."),
                [percent(one.coverage) for one in both],
            ),
            (
                self.tr("Mean quality"),
                self.tr("Out of ratings, the model's score and checks, as far as they are known: 0 to 1."),
                [QLocale().toString(one.quality, "f", 2) for one in both],
            ),
            (
                self.tr("The least covered question"),
                self.tr("The cosine of the question that is farthest from the set."),
                [percent(one.least) for one in both],
            ),
            *(
                (name, some, [percent(one.share(by), 0) for one in both])
                for name, by in (
                    (self.tr("Documents"), "document"),
                    (self.tr("Topics"), "topic"),
                    (self.tr("Kinds"), "kind"),
                )
            ),
        ):
            rows.append((name, *values))
            meanings.append(meaning)
        self.figures.show_rows(rows, meanings)

    def _show_parts(self) -> None:
        picked, baseline = self._coverages()
        by = self.by.currentData()
        if picked is None or baseline is None:
            self.bars.show_rates([])
            self.covered.show_rates([])
            return
        names = [part.name for part in picked.parts.get(by, ())][:MOST_PARTS]
        every = sum(part.all for part in picked.parts.get(by, ()))
        sides = [{part.name: part for part in one.parts.get(by, ())} for one in (picked, baseline)]
        series = [(self.tr("All"), _shares(names, sides[0], lambda part: part.all, every, by))]
        covered = []
        for name, one, side in (
            (self.tr("At random"), baseline, sides[1]),
            (self.tr("Picked"), picked, sides[0]),
        ):
            series.append((name, _shares(names, side, lambda part: part.chosen, one.size, by)))
            rates = [Rate(_called(part, by), side[part].coverage) for part in names if part in side]
            covered.append((name, rates))
        self.bars.show_rates(series, INKS)
        self.covered.show_rates(covered, INKS[1:])


def how_words(one: Pick) -> str:
    """How a pick was made, in a line."""
    translate, recipe = QCoreApplication.translate, one.recipe
    methods = {"facility": translate("Pick", "facility location"), "k-centre": translate("Pick", "k-centre")}
    parts = [methods.get(str(recipe.get("method")), "")]
    if isinstance(weight := recipe.get("quality_weight"), int | float):
        parts.append(translate("Pick", "quality {}").format(percent(weight, 0)))
    if isinstance(candidates := recipe.get("candidates"), int):
        parts.append(translate("Pick", "out of {}").format(QLocale().toString(candidates)))
    if isinstance(model := recipe.get("model"), str):
        parts.append(model)
    return " · ".join(filter(None, parts))


def _shares(names: Iterable[str], parts: dict[str, Part], count: Callable[[Part], int], of: int, by: str) -> list[Rate]:
    rates = []
    for name in names:
        number = count(parts[name]) if name in parts else 0
        rates.append(Rate(_called(name, by), number / max(1, of), note=QLocale().toString(number)))
    return rates


def _called(name: str, by: str) -> str:
    return kind_name(name) if by == "kind" else name
