"""Small dialogs of Curate: which model makes the vectors, what counts as a duplicate, and what is scored by whom."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QVBoxLayout,
    QWidget,
)

from core.curation.scoring import RUBRIC
from core.project.tuning import AdapterRow
from core.questions.prompts import load_prompts
from gui import style
from gui.adapters import adapters
from gui.labels import plain, quiet
from gui.model_choice import ModelChoice
from gui.session import Session

translate = QCoreApplication.translate


class CurateDialog(QDialog):
    """What is asked in all of them: a few words, fields, and a button that begins."""

    def __init__(self, session: Session, title: str, about: str, begin: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setWindowTitle(title)
        self.form = QFormLayout()
        self.form.setHorizontalSpacing(style.DOUBLE)
        self.form.setVerticalSpacing(style.SPACE)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.note = quiet()
        self.note.setMinimumHeight(2 * self.fontMetrics().height())  # it comes and goes
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.model = ModelChoice(session)
        self.model.changed.connect(self.show_what_follows)
        buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.begin = buttons.addButton(begin, QDialogButtonBox.ButtonRole.AcceptRole)
        self.begin.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addWidget(plain(about))
        column.addLayout(self.form)
        column.addWidget(self.note)
        column.addStretch(1)
        column.addWidget(buttons)
        self.setMinimumWidth(520)

    def show_what_follows(self) -> None:
        """After a field has changed: whether it may begin, and what it comes to."""
        self.begin.setEnabled(self.model.model is not None)

    def row(self, text: str, field: QWidget) -> None:
        """A field with its name before it."""
        self.form.addRow(text, field)
        field.setAccessibleName(text.replace("&", ""))

    def done(self, result: int) -> None:
        self.model.stop()
        super().done(result)


class VectorsDialog(CurateDialog):
    """Asks for the model that is to say which texts are alike."""

    def __init__(self, session: Session, title: str, about: str, begin: str, parent: QWidget | None = None) -> None:
        super().__init__(session, title, about, begin, parent)
        self.row(self.tr("&Model"), self.model)
        self.show_what_follows()
        self.model.setFocus()

    def path(self) -> Path:
        """Of the model that was chosen."""
        assert self.model.model is not None
        return self.model.model.path

    def show_what_follows(self) -> None:
        super().show_what_follows()
        model = self.model.model
        self.note.setText("" if model is None or model.is_embedding else embedding_words())


class DuplicatesDialog(CurateDialog):
    """Asks what counts as a duplicate."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(
            session,
            translate("DuplicatesDialog", "Find duplicates"),
            translate("DuplicatesDialog", "Questions that are not rejected are compared with each other."),
            translate("DuplicatesDialog", "&Find"),
            parent,
        )
        self.near, self.semantic, self.alike = QDoubleSpinBox(), QCheckBox(), QDoubleSpinBox()
        for box, usual in ((self.near, 0.8), (self.alike, 0.95)):
            box.setRange(0.5, 1)
            box.setSingleStep(0.01)
            box.setDecimals(2)
            box.setValue(usual)
        self.semantic.setText(self.tr("Those that mean the &same too, as a model sees it"))
        self.semantic.toggled.connect(lambda _: self.show_what_follows())
        self.row(self.tr("&Nearly the same words from"), self.near)
        self.near.setToolTip(self.tr("The share of three-word runs that two questions have in common (Jaccard)."))
        self.form.addRow(self.semantic)
        self.row(self.tr("&Model"), self.model)
        self.row(self.tr("The same &meaning from"), self.alike)
        self.alike.setToolTip(self.tr("The cosine of the angle between their vectors."))
        self.show_what_follows()
        self.near.setFocus()

    def show_what_follows(self) -> None:
        if not hasattr(self, "semantic"):
            return
        wanted = self.semantic.isChecked()
        self.model.setEnabled(wanted)
        self.alike.setEnabled(wanted)
        self.begin.setEnabled(not wanted or self.model.model is not None)

    def model_path(self) -> Path | None:
        """Of the model that says what means the same; None: nothing does."""
        model = self.model.model
        return model.path if self.semantic.isChecked() and model is not None else None


class ScoreDialog(CurateDialog):
    """Asks which model scores which questions, with which adapter."""

    def __init__(self, session: Session, counts: dict[str, list[int]], selected: list[int], parent: QWidget) -> None:
        """`counts` are the ids by state."""
        super().__init__(
            session,
            translate("ScoreDialog", "Score"),
            translate(
                "ScoreDialog",
                "The model gives a reason and a score of 1 to 5 for each question with its answer. The score is what "
                "it expects over all five digits, and not the one that it happens to write.",
            ),
            translate("ScoreDialog", "&Score"),
            parent,
        )
        self._adapters: list[AdapterRow] = adapters(session)
        self.which, self.adapter = QComboBox(), QComboBox()
        chosen = [(self.tr("Those that are selected"), selected)] if selected else []
        for name, ids in (
            *chosen,
            (self.tr("Drafts and accepted ones"), sorted(counts["draft"] + counts["accepted"])),
            (self.tr("Drafts"), counts["draft"]),
            (self.tr("Accepted ones"), counts["accepted"]),
        ):
            if ids:
                self.which.addItem(self.tr("{} ({})").format(name, self.locale().toString(len(ids))), ids)
        self.adapter.addItem(self.tr("Without adapter"), None)
        for one in self._adapters:
            self.adapter.addItem(self.tr("{} (for {})").format(one.name, one.base_name), one)
        self.row(self.tr("&Model"), self.model)
        self.row(self.tr("&Adapter"), self.adapter)
        self.row(self.tr("&Questions"), self.which)
        self.note.setText(
            self.tr(
                "Small models are weak judges. Rate some questions yourself, and the page shows how far they agree."
            )
        )
        self.show_what_follows()
        self.model.setFocus()

    def ids(self) -> tuple[int, ...]:
        """The questions to be scored."""
        return tuple(self.which.currentData() or ())

    def show_what_follows(self) -> None:
        model = self.model.model
        unfit = model is not None and (model.is_embedding or not load_prompts(model.prompt_style, RUBRIC).texts)
        words = self.tr("It cannot judge: it was made for other tasks. Choose one that follows instructions.")
        self.note.setText(words if unfit else self.tr("Small models judge badly: rate some questions yourself too."))
        self.begin.setEnabled(model is not None and not unfit and hasattr(self, "which") and self.which.count() > 0)


def embedding_words() -> str:
    """What is said of a model that was not made for vectors."""
    return translate(
        "Curate", "It was not made for vectors: its sense of what is alike is rough. An embedding model is better."
    )
