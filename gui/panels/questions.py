"""The questions: runs that make them, a table of them, and their review by keyboard beside the page they come from."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtCore import QCoreApplication, QModelIndex, Signal
from PySide6.QtWidgets import QPushButton

from core.project.records import Example, ExampleFilter
from core.questions.ask import Replaced
from gui import style
from gui.ask_dialog import AskDialog
from gui.asking import Asking
from gui.edit_field import EditField
from gui.example_detail import ExampleDetail
from gui.example_filters import ExampleFilters
from gui.example_table import ExampleTable
from gui.jobs import Jobs
from gui.panels.example_panel import ExamplePanel, writing_field
from gui.pictures import Pictures
from gui.session import Session


class QuestionsPanel(ExamplePanel):
    """What is selected decides what the keys do; after a verdict the next question without one comes up."""

    glyph = "questions"
    key = "questions"
    export_wanted = Signal()
    documents_wanted = Signal()

    def __init__(self, session: Session, jobs: Jobs, pictures: Pictures) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Questions"))
        self.asking = Asking(session, jobs, self)
        self._has_text = False  # whether there are passages to ask about
        self.ask_button = QPushButton(self.tr("Ask…"))
        style.set_icon(self.ask_button, "run")
        self.filters = ExampleFilters(self.ask_button)
        self.model = ExampleTable(self._load, session.page_label, self)
        self.detail = ExampleDetail(session, pictures)
        self._build_actions()
        self._arrange(self.detail)
        self._connect()
        self._show_project()

    # Building

    def _build_actions(self) -> None:
        self.writing = [
            self.add_action(self.tr("Accept"), lambda: self.judge("accepted"), "A", "accept"),
            self.add_action(self.tr("Reject"), lambda: self.judge("rejected"), "R", "reject"),
            self.add_action(self.tr("Back to draft"), lambda: self.judge("draft"), "D"),
            self.add_action(self.tr("Edit"), self.edit, "E", "edit"),
            again := self.add_action(self.tr("Ask again"), self.ask_again, "G", "again"),
            self.add_action(self.tr("Undo the last change"), self.undo, "U", "undo"),
        ]
        self._again = again
        self.add_action(self.tr("Next without a verdict"), self.next_draft, "N", "next")
        for stars in range(1, 6):
            text = self.tr("Rate 1 star") if stars == 1 else self.tr("Rate {} stars").format(stars)
            self.writing.append(self.add_action(text, lambda stars=stars: self.rate(stars), str(stars)))
        self.writing.append(self.add_action(self.tr("No rating"), lambda: self.rate(0), "0"))
        self.add_action(self.tr("Show all questions"), self.filters.clear)

    def _connect(self) -> None:
        self.ask_button.clicked.connect(lambda: self.ask())
        self.view.doubleClicked.connect(lambda _: self.edit())
        self.detail.rated.connect(self.rate)
        self.detail.judged.connect(self.judge)
        self.detail.again_wanted.connect(self.ask_again)
        self.asking.changed.connect(self._show_run_state)
        self.asking.replaced.connect(self._show_replaced)
        self.asking.options_wanted.connect(self.ask)

    # The project

    def _show_writable(self, writable: bool) -> None:
        self.ask_button.setEnabled(writable)
        what = self.tr("Let a model ask questions about the documents")
        only_read = self.session.is_open and not writable
        self.ask_button.setToolTip(self.session.only_read() if only_read else what)

    def _show_project(self) -> None:
        super()._show_project()
        if self.session.is_open:
            self._show_run_state()
            with self.session.reporting():
                self.asking.offer_to_resume()

    def _show_sources(self, _: object = None) -> None:
        if self.session.is_open:
            with self.session.reporting():
                self._has_text = any(one.passages for one in self.session.project.documents())
        super()._show_sources()

    def _show_current(self, *_: QModelIndex) -> None:
        super()._show_current()
        example = self.detail.example
        generated = example is not None and example.passage_id is None  # from no passage to ask again about
        self._again.setEnabled(self.session.is_open and not self.session.project.read_only and not generated)

    # When there is nothing to show

    def _say_why_empty(self) -> None:
        writable, total = not self.session.project.read_only, sum(self.counts.values())
        say = self.empty.say
        if total == 0 and self.asking.active:
            say("questions", self.tr("The first questions are on their way"))
        elif total == 0 and not self._has_text:
            text = self.tr("Questions are asked about the text of your documents. Add a PDF first.")
            say("documents", self.tr("No documents yet"), text, self.tr("Documents"), self.documents_wanted.emit)
        elif total == 0:
            text = self.tr("A model on this computer reads your documents and asks; you decide what is kept.")
            say("questions", self.tr("No questions yet"), text, self.tr("Ask…"), self.ask if writable else None)
        elif replace(self.filter, sort="id", descending=False) == ExampleFilter(state="draft"):
            text = self.tr("{:,} accepted, {:,} rejected.").format(self.counts["accepted"], self.counts["rejected"])
            say("accept", self.tr("Every draft is reviewed"), text, self.tr("Export…"), self.export_wanted.emit)
        else:
            text = self.tr("No question is in this queue and passes these filters.")
            say("search", self.tr("Nothing here"), text, self.tr("Show all questions"), self.filters.clear)

    # Review

    def judge(self, state: str) -> None:
        """Accepts, rejects or takes back what is selected; after a verdict the next without one comes up."""
        ids = self.selected_ids()
        self.detail.commit()  # which may take the question out of the list, and select another
        if not ids or not self.session.may_write():
            return
        rows = [row for row in map(self.model.row_of, (ids[0], ids[-1])) if row >= 0]
        follow = self._after(max(rows, default=0), set(ids)) if self.filter.state else None
        last = self.model.example(max(rows, default=0))
        if self._too_many(ids, partial(self.session.project.set_state, ids, state)):
            return
        with self.session.reporting():
            self.session.project.set_state(ids, state)
            self._take_in(ids)
            if state == "draft":
                return
            if self.filter.state is None:
                follow = self._find_draft(last)
            if follow is not None:
                self.select_row(self.model.row_of(follow))
            elif self.filter.state is None:
                self.session.notice_given.emit(self.tr("Every question here has been reviewed."))

    def _after(self, row: int, chosen: set[int]) -> int | None:
        """The next in the list that is not among those chosen, from the beginning again after the end."""
        ids = self.model.ids
        following = (ids[place % len(ids)] for place in range(row + 1, row + 1 + len(ids)))
        return next((id for id in following if id not in chosen), None)

    def _find_draft(self, after: Example | None) -> int | None:
        """The next draft among what is shown, from the beginning again after the end."""
        wanted, project = replace(self.filter, state="draft"), self.session.project
        found = project.examples(wanted, after=after, limit=1) or project.examples(wanted, limit=1)
        return found[0].id if found else None

    def next_draft(self) -> None:
        """Goes to the next question without a verdict."""
        if not self.session.is_open or not self.model.ids:
            return
        with self.session.reporting():
            found = None
            if self.filter.state in (None, "draft"):
                found = self._find_draft(self.model.example(self.view.currentIndex().row()))
            if found is None:
                self.session.notice_given.emit(self.tr("Every question here has been reviewed."))
            else:
                self.select_row(self.model.row_of(found))

    def rate(self, stars: int) -> None:
        """Gives what is selected so many stars; 0 takes them away."""
        ids = self.selected_ids()
        if not ids or not self.session.may_write():
            return
        if self._too_many(ids, partial(self.session.project.rate_all, ids, stars or None)):
            return
        with self.session.reporting():
            self.session.project.rate_all(ids, stars or None)
            self._take_in(ids)

    def edit(self) -> None:
        """Puts the cursor into the question."""
        if self.detail.example is not None and self.session.may_write():
            self.detail.edit()

    # Runs

    def ask(self) -> None:
        """Asks the user what a run is to make, and begins it, or goes on with the last one."""
        if not self.asking.allowed():
            return
        if not self._has_text:
            self.documents_wanted.emit()
            self.session.notice_given.emit(self.tr("Add a PDF with text first: questions are asked about it."))
            return
        with self.session.reporting():
            dialog = AskDialog(self.session, self)
            if dialog.exec():
                if dialog.resumes:
                    self.asking.resume()
                else:
                    self.asking.start(dialog.options())
            dialog.deleteLater()

    def ask_again(self) -> None:
        """Makes another question in place of the one that is shown."""
        if (example := self.detail.example) is not None:
            self.detail.commit()
            self.asking.ask_again(example.id)

    def _show_run_state(self) -> None:
        free = not self.asking.active
        self.ask_button.setText(self.tr("Ask…") if free else self.tr("Asking…"))
        self.ask_button.setEnabled(free and self.session.is_open and not self.session.project.read_only)
        self.detail.set_askable(free)
        self._show_empty()

    def _show_replaced(self, replaced: Replaced) -> None:
        self._take_in([replaced.old, replaced.new])
        row = self.model.row_of(replaced.new)
        if row >= 0 and not isinstance(writing_field(), EditField):  # who is writing goes on with the same question
            self.select_row(row)
