"""The rationales: steps from question to answer, drafted by a model and edited by keyboard beside what each cites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QPushButton, QToolButton

from core.project.records import Example, ExampleFilter, Rationale
from core.rationales.findings import refresh
from gui import style
from gui.drafting import Drafting
from gui.example_filters import OF_RATIONALES, ExampleFilters
from gui.jobs import Jobs
from gui.panels.example_panel import FEW, ExamplePanel
from gui.pictures import Pictures
from gui.rationale_detail import RationaleDetail
from gui.rationale_dialogs import CheckDialog, DraftDialog, RewriteDialog
from gui.rationale_findings import Findings
from gui.rationale_table import RationaleTable
from gui.repair_dialog import RepairDialog
from gui.sentence_picker import SentencePicker, sentences_of
from gui.session import Session


class RationalesPanel(ExamplePanel):
    """The keys act on the current step of the example that is shown, whether the list has the focus or the steps."""

    glyph = "rationales"
    key = "rationales"
    sizes = (510, 580)
    questions_wanted = Signal()

    def __init__(self, session: Session, jobs: Jobs, pictures: Pictures) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Rationales"))
        self.drafting = Drafting(session, jobs, self)
        self._findings = Findings()
        self.draft_button = QPushButton(self.tr("Draft…"))
        style.set_icon(self.draft_button, "run")
        self.filters = ExampleFilters(self.draft_button, OF_RATIONALES)
        self.model = RationaleTable(self._load, session.page_label, self._findings, self)
        self.detail = RationaleDetail(session, pictures, self._findings)
        self._build_actions()
        self._arrange(self.detail)
        self._connect()
        self.beside.setChecked(str(session.settings.value("rationales/beside", "")).lower() == "true")
        self._show_project()

    # Building

    def _build_actions(self) -> None:
        add, steps, change = self.add_action, self.detail.steps, self._change
        accept = add(self.tr("Accept the step"), change(steps.accept), "A", "accept")
        all = add(self.tr("Accept all steps"), change(steps.accept_all), "Shift+A", "accept_all")
        new = add(self.tr("Add a step"), change(steps.add), "N", "new")
        edit = add(self.tr("Edit the step"), change(steps.edit), "E", "edit")
        split = add(self.tr("Split the step at the cursor"), change(steps.split), None, "split")
        join = add(self.tr("Merge with the step above"), change(steps.merge), "M", "join")
        up = add(self.tr("Move the step up"), change(lambda: steps.shift(-1)), "Alt+Up", "up")
        down = add(self.tr("Move the step down"), change(lambda: steps.shift(1)), "Alt+Down", "down")
        remove = add(self.tr("Remove the step"), change(steps.remove), "Del", "remove")
        cite = self._cite = add(self.tr("Cite a sentence…"), self.cite, "C", "cite")
        inference = add(self.tr("Cite nothing: an inference"), change(lambda: steps.cite(None)), "I")
        self.beside = add(self.tr("Draft beside"), lambda: None, "W", "compare")
        self.beside.setCheckable(True)
        add(self.tr("Next candidate"), lambda: self._turn(1), "]")
        add(self.tr("Candidate before"), lambda: self._turn(-1), "[")
        take = add(self.tr("Take the draft"), self.take, "T")
        draft = add(self.tr("Draft steps…"), self.draft, "D", "run")
        rewrite = add(self.tr("Rewrite with an instruction…"), self.rewrite, "G", "again")
        repair = add(self.tr("Apply this repair to similar rows…"), self.repair, "P", "repair")
        check = add(self.tr("Check the steps…"), self.check, "K", "questions")
        undo = add(self.tr("Undo the last change"), self.undo, "U", "undo")
        add(self.tr("Next without steps"), self.next_without, "J", "next")
        add(self.tr("Show all questions"), self.filters.clear)
        self.writing = [accept, all, new, edit, split, join, up, down, remove, cite, inference, take, draft, rewrite]
        self.writing += [repair, check, undo]
        self.detail.add_tools((accept, all, None, new, split, join, up, down, remove, None, cite), self.beside)
        short = ((rewrite, self.tr("Rewrite…")), (repair, self.tr("Repair similar rows…")), (check, self.tr("Check…")))
        for action, text in short:
            action.setIconText(text)
        self.detail.add_runs((rewrite, repair, check))

    def _connect(self) -> None:
        self.draft_button.clicked.connect(lambda: self.draft())
        self.beside.toggled.connect(self.detail.show_draft)
        self.view.doubleClicked.connect(lambda _: self.detail.steps.setFocus())
        self.view.installEventFilter(self)
        self.detail.draft_wanted.connect(self.draft)
        self.detail.selection_changed.connect(self._show_selection)
        self.detail.draft.taken.connect(self._take)
        self.drafting.changed.connect(self._show_run_state)
        self.drafting.rewritten.connect(self._show_rewritten)
        self.drafting.options_wanted.connect(self.draft)
        self.session.rationales_changed.connect(self._take_in_drafts)
        self.session.scores_changed.connect(self._take_in_findings)
        self.session.runs_changed.connect(self._take_in_findings)

    # The project

    def _show_writable(self, writable: bool) -> None:
        what = self.tr("Let a model write steps from questions to their answers")
        only_read = self.session.is_open and not writable
        self.draft_button.setToolTip(self.session.only_read() if only_read else what)
        self.draft_button.setEnabled(writable and not self.drafting.active)

    def _show_project(self) -> None:
        self._findings.forget()
        super()._show_project()
        if self.session.is_open:
            self._show_run_state()
            with self.session.reporting():
                self.drafting.offer_to_resume()

    def _load(self, ids: Sequence[int]) -> list[Example]:
        found = super()._load(ids)
        if found:
            with self.session.reporting():
                self._findings.read(self.session.project, ids)
        return found

    def _take_in(self, ids: Sequence[int]) -> None:
        """The checks of steps that need no model follow the words; those are only written that say something else."""
        if self.session.is_open and not self.session.project.read_only:
            project = self.session.project
            with self.session.reporting():
                if len(ids) > FEW:
                    self._in_background(partial(refresh, project, ids))
                else:
                    refresh(project, ids)
        super()._take_in(ids)

    def _matching(self, ids: Sequence[int]) -> set[int]:
        """Those that pass the filter, and the one that is shown: who writes its first step goes on with it."""
        shown = self.detail.example
        return super()._matching(ids) | ({shown.id} if shown is not None and shown.id in ids else set())

    def _take_in_drafts(self, ids: Sequence[int]) -> None:
        """Models drafted steps for some examples."""
        if self.detail.example is not None and self.detail.example.id in ids:
            self.detail.refresh(newest=True)

    def _take_in_findings(self, _: object = None) -> None:
        """Runs found out more."""
        if self.session.is_open:
            self._findings.forget()
            self.model.read_anew()
            self.detail.refresh()

    # When there is nothing to show

    def _say_why_empty(self) -> None:
        if sum(self.counts.values()) == 0:
            text = self.tr("Steps lead from a question to its answer. Let a model ask questions first.")
            self.empty.say(
                "questions", self.tr("No questions yet"), text, self.tr("Questions"), self.questions_wanted.emit
            )
        elif replace(self.filter, sort="id", descending=False) == ExampleFilter(rationale=True):
            text = self.tr("A model drafts the steps, each with the words of the document that it rests on.")
            do = None if self.session.project.read_only else self.draft
            self.empty.say("rationales", self.tr("No steps yet"), text, self.tr("Draft…"), do)
        else:
            text = self.tr("No question is in this queue and passes these filters.")
            self.empty.say("search", self.tr("Nothing here"), text, self.tr("Show all questions"), self.filters.clear)

    # Steps

    def _change(self, do: Callable[[], object]) -> Callable[[], object]:
        """What an action does that changes the steps: nothing where there are none, or they may only be read."""

        def act() -> None:
            if self.detail.example is not None and self.session.may_write():
                do()

        return act

    def cite(self) -> None:
        """Lets the current step cite what is selected on the page, or a sentence that is picked."""
        example, steps = self.detail.example, self.detail.steps
        if example is None or not self.session.may_write():
            return
        if steps.current_step is None:
            self.session.notice_given.emit(self.tr("Write a step first; then say what it cites."))
        elif (selected := self.detail.selection) is not None:
            steps.cite(selected)
            self.detail.clear_selection()
        elif example.passage_id is None:
            self.session.notice_given.emit(self.tr("This question comes from no document: its steps are inferences."))
        else:
            self._pick_sentence(example.passage_id)

    def _show_selection(self) -> None:
        """What was selected on the page can be cited: the button says so."""
        selected = self.detail.selection is not None
        self._cite.setText(self.tr("Cite the selection") if selected else self.tr("Cite a sentence…"))
        style_of = Qt.ToolButtonStyle
        for button in self._cite.associatedObjects():
            if isinstance(button, QToolButton):
                button.setToolButtonStyle(
                    style_of.ToolButtonTextBesideIcon if selected else style_of.ToolButtonIconOnly
                )
                button.setAccessibleName(self._cite.text())

    def _pick_sentence(self, passage_id: int) -> None:
        steps = self.detail.steps
        with self.session.reporting():
            project = self.session.project
            passage = project.passage(passage_id)
            cited = steps.current_step.cited if steps.current_step else None
            label = partial(self.session.page_label, passage.document_id)
            dialog = SentencePicker(sentences_of(project, passage), cited, label, self)
            if dialog.exec():
                steps.cite(dialog.chosen)
            dialog.deleteLater()

    def _turn(self, by: int) -> None:
        self.beside.setChecked(True)
        self.detail.draft.turn(by)

    def take(self) -> None:
        """Lets the draft beside the steps take their place."""
        if (draft := self.detail.draft.draft) is not None:
            self._take(draft)

    def _take(self, draft: Rationale) -> None:
        self.detail.commit()
        if self.session.may_write():
            with self.session.reporting():
                label = self.tr("Take a draft of the rationale of {}")
                self.session.project.set_rationales({draft.example_id: (draft.steps, draft.id)}, label)
                self._take_in([draft.example_id])

    def next_without(self) -> None:
        """Goes to the next question that has no steps."""
        if not self.session.is_open or not self.model.ids:
            return
        with self.session.reporting():
            wanted, project = replace(self.filter, rationale=False), self.session.project
            after = self.model.example(self.view.currentIndex().row())
            none = self.filter.rationale is True
            found = [] if none else project.examples(wanted, after=after, limit=1) or project.examples(wanted, limit=1)
            if found:
                self.select_row(self.model.row_of(found[0].id))
            else:
                self.session.notice_given.emit(self.tr("Every question here has steps."))

    # Runs

    def draft(self) -> None:
        """Asks what is to be drafted, and begins it, or goes on with the last run."""
        if sum(self.counts.values()) == 0 and self.session.is_open:
            self.questions_wanted.emit()
            self.session.notice_given.emit(self.tr("Let a model ask questions first: steps lead to their answers."))
        else:
            self._ask(DraftDialog)

    def rewrite(self) -> None:
        """Asks for an instruction, and lets a model write the steps anew; its draft comes up beside them."""
        self._ask(RewriteDialog)

    def check(self) -> None:
        """Lets a model answer with the steps and without them."""
        self._ask(CheckDialog)

    def _ask(self, kind: type[DraftDialog | RewriteDialog | CheckDialog]) -> None:
        self.detail.commit()
        if not self.drafting.allowed():
            return
        with self.session.reporting():
            dialog = kind(self.session, self.selected_ids(), self)
            if dialog.exec():
                if dialog.resumes:
                    self.drafting.resume(dialog.kind)
                else:
                    self.drafting.start(dialog.options())
            dialog.deleteLater()

    def repair(self) -> None:
        """Offers to do to similar rationales what was done to this one since it was drafted."""
        self.detail.commit()
        example = self.detail.example
        if example is None or not self.session.may_write():
            return
        if not example.rationale:
            self.session.notice_given.emit(self.tr("This question has no steps that could have been repaired."))
            return
        with self.session.reporting():
            drafts = self.session.project.rationales(example.id)
            before = next((one.steps for one in drafts if one.id == example.rationale_draft), example.rationale)
            dialog = RepairDialog(self.session, self.jobs, example, before, self)
            if dialog.exec() and dialog.done_to:
                done = dialog.done_to
                words = self.tr("1 rationale was changed.") if done == 1 else self.tr("{:,} rationales were changed.")
                self.session.notify(words.format(done), self.tr("Undo"), self.undo)
            dialog.deleteLater()

    def _show_run_state(self) -> None:
        free = not self.drafting.active
        self.draft_button.setText(self.tr("Draft…") if free else self.tr("Drafting…"))
        self.draft_button.setEnabled(free and self.session.is_open and not self.session.project.read_only)

    def _show_rewritten(self, ids: Sequence[int]) -> None:
        if self.detail.example is not None and self.detail.example.id in ids:
            self.detail.refresh(newest=True)
            self.beside.setChecked(True)

    def save_state(self) -> None:
        super().save_state()
        self.session.settings.setValue("rationales/beside", self.beside.isChecked())

    # Qt's own

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """In the list of questions, keys that move or remove a step do nothing: they would seem to mean a row."""
        if watched is self.view and isinstance(event, QKeyEvent):
            alt, key = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier), event.key()
            of_a_row = key == Qt.Key.Key_Delete or (alt and key in (Qt.Key.Key_Up, Qt.Key.Key_Down))
            if event.type() == QEvent.Type.ShortcutOverride and of_a_row:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self.detail.steps.setFocus()
                return True
        return super().eventFilter(watched, event)
