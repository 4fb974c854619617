"""The page that an example comes from: its passage outlined, its evidence marked, and what else is to be seen there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QTimer

from core.documents.passages import rectangles
from core.documents.records import Page
from core.errors import UserError
from core.project.records import Evidence, Example
from gui.page_canvas import Mark, PageCanvas
from gui.page_view import PageView
from gui.pictures import Pictures
from gui.reading import ask_password
from gui.session import Session

SETTLE = 50  # milliseconds that a row must stay before its page is drawn: a held arrow key passes many


class ExamplePage(PageView):
    """Turns to the evidence of the example, or to the citation of a step of its rationale."""

    def __init__(self, session: Session, pictures: Pictures, canvas: PageCanvas | None = None) -> None:
        super().__init__(session, pictures, self.marks, canvas)
        self._example: Example | None = None
        self._parts: tuple[tuple[int, int, int], ...] = ()  # of its passage: (page, start, end)
        self._cited: Evidence | None = None
        self._later = QTimer(self, singleShot=True, interval=SETTLE)
        self._later.timeout.connect(self._turn_to_it)
        self.password_wanted.connect(self._ask_password)

    def show_example(self, example: Example | None, same: bool) -> None:
        """The page of an example, a moment later; of the `same` one the page that is shown stays."""
        self._example = example
        if example is None:
            self._later.stop()
        elif not same:
            self._cited = None
            self._later.start()

    def show_citation(self, cited: Evidence | None) -> None:
        """Marks what a step cites, and turns to it."""
        before, self._cited = self._cited, cited
        if cited is not None and cited != before:
            self._later.start()
        elif cited != before:
            self.refresh_marks()

    def marks(self, document_id: int, page: Page) -> Sequence[Mark]:
        """The passage outlined, the evidence and the citation marked, as far as they are on this page."""
        example = self._example
        if example is None or example.document_id != document_id:
            return ()
        marks = []
        for number, start, end in self._parts:
            if number == page.number and (lines := rectangles(page, start, end)):
                marks.append(Mark(tuple(lines), "outline", self.tr("The passage that was asked about")))
        if example.evidence and example.evidence.page == page.number:
            marks.append(Mark(example.evidence.rectangles, "evidence", self.tr("Evidence")))
        if (cited := self._cited) and cited.page == page.number and (lines := rectangles(page, cited.start, cited.end)):
            marks.append(Mark(tuple(lines), "citation", self.tr("What the step cites")))
        return marks

    def _turn_to_it(self) -> None:
        example = self._example
        if example is None or example.passage_id is None or not self._session.is_open:
            return
        try:
            passage = self._session.project.passage(example.passage_id)
        except UserError as error:
            self.clear(str(error))
            return
        self._parts = passage.parts
        wanted = self._cited or example.evidence
        number = wanted.page if wanted else next((page for page, _, _ in passage.parts), 1)
        self.show_page(passage.document_id, number)
        if self._page is not None:  # else the view says why not
            self.set_marks(self.marks(passage.document_id, self._page))

    def _ask_password(self, path: str) -> None:
        passwords = self._session.passwords
        if password := ask_password(Path(path).name, path in passwords, self):
            passwords[path] = password
            self.retry()
