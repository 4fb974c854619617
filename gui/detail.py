"""What a panel shows of the example that is chosen: a form over its source; what was being written is never lost."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from core.project.records import Example
from gui import style
from gui.labels import quiet
from gui.session import Session


class Detail(QWidget):
    """Who inherits makes a form and a source, hands them to `_arrange`, shows an example and keeps what is written."""

    edited = Signal(int)  # the id of an example that was changed in the project
    left = Signal()  # the user is done with a field

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._example: Example | None = None
        self._committing = False

    def _arrange(self, form: QWidget, source: QWidget) -> None:
        """The form, which scrolls, over the source."""
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(form)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self._scroll)
        self.splitter.addWidget(source)
        self.splitter.setStretchFactor(0, 0)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([350, 450])
        self.hint = quiet()
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.hint)
        self._stack.addWidget(self.splitter)
        column = QVBoxLayout(self)
        style.spaced(column, 0, 0)
        column.addWidget(self._stack)
        wide = self._scroll.verticalScrollBar().sizeHint().width()
        self._scroll.setMinimumWidth(max(320, form.minimumSizeHint().width() + wide))

    @property
    def example(self) -> Example | None:
        """The example that is shown."""
        return self._example

    def show_example(self, example: Example | None) -> None:
        """Shows an example, or that none is chosen; what was being written in another one is kept first."""
        if self._example is not None and (example is None or example.id != self._example.id):
            self.commit()
        if example is not None and example == self._example:
            return  # a run makes others meanwhile
        same = example is not None and self._example is not None and example.id == self._example.id
        self._example = example
        self._stack.setCurrentIndex(0 if example is None else 1)
        if not same:
            self._scroll.verticalScrollBar().setValue(0)
        self._show(example, same)

    def show_hint(self, shown: bool) -> None:
        """Whether to say, where no question is chosen, that one may be."""
        self.hint.setText(self.tr("Choose a question to see it beside its page.") if shown else "")

    def commit(self) -> None:
        """Keeps what is being written."""
        if self._committing:  # what is announced may come back here
            return
        self._committing = True
        self._commit()
        self._committing = False

    def set_writable(self, writable: bool) -> None:
        """Whether anything may be changed."""
        raise NotImplementedError

    def _show(self, example: Example | None, same: bool) -> None:
        """Fills the form; `same` says that the example was shown before, as it was then."""
        raise NotImplementedError

    def _commit(self) -> None:
        """Writes what stands in the fields into the project."""
        raise NotImplementedError
