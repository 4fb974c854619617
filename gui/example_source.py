"""Where an example comes from: its page, or what was said before its question."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QStackedWidget, QVBoxLayout, QWidget

from core.project.records import Example
from gui import style
from gui.chat_transcript import Transcript, Turn
from gui.example_page import ExamplePage
from gui.labels import caption, quiet
from gui.page_canvas import PageCanvas
from gui.pictures import Pictures
from gui.session import Session


class ExampleSource(QStackedWidget):
    """The page of an example, and in its place the conversation of one that comes from none."""

    def __init__(self, session: Session, pictures: Pictures, canvas: PageCanvas | None = None) -> None:
        super().__init__()
        self.page = ExamplePage(session, pictures, canvas)
        self.addWidget(self.page)
        self.addWidget(self._build_conversation())

    def show_example(self, example: Example | None, same: bool) -> None:
        """Another example, or the same as it is now."""
        self.page.show_example(example, same)
        if example is None:
            return
        told = [text for role, text in example.context if role == "system"]
        said = [text for role, text in example.context if role != "system"]
        user, model = self.tr("User"), self.tr("Model")
        pairs = zip(said[::2], said[1::2], strict=True)
        self.conversation.show_turns([Turn(question, model, answer, asker=user) for question, answer in pairs])
        self._told.setText("\n".join(told))
        self._told.setVisible(bool(told))
        self.conversation.setVisible(bool(said))
        generated = example.passage_id is None
        self.setCurrentIndex(int(generated))
        self.setHidden(generated and not example.context)

    def _build_conversation(self) -> QWidget:
        self._told = quiet(selectable=True)
        self._told.setAccessibleName(self.tr("What the model was told before"))
        self.conversation = Transcript()
        self.conversation.show_thoughts(True)
        self.conversation.setAccessibleName(self.tr("What was said before the question"))
        self.conversation.setFrameShape(QFrame.Shape.NoFrame)
        self.conversation.viewport().setAutoFillBackground(False)  # nothing can be written in it
        self.conversation.document().setDocumentMargin(0)
        box = QWidget()
        column = QVBoxLayout(box)
        style.spaced(column, style.DOUBLE, style.HALF)
        column.addWidget(caption(self.tr("Said before the question"), self.conversation))
        column.addWidget(self._told)
        column.addWidget(self.conversation, 1)
        return box
