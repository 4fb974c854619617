"""Downloads a model: one of a short list, one that was begun, or any file the user names."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.engine.fit import holds
from core.errors import UserError
from core.models.download import Downloading, download, room
from core.models.files import ModelFile
from core.models.recommended import Recommended, recommended
from core.models.shelf import models_folder
from core.models.sources import read_source
from core.models.unfinished import Unfinished, discard, unfinished
from gui import style
from gui.jobs import Job, Jobs, Status
from gui.labels import heading, plain, quiet, tint
from gui.session import Session
from gui.words import size_words, tooltip

_OFFER = Qt.ItemDataRole.UserRole


class DownloadDialog(QDialog):
    """Chooses what to download; what it begins goes on in the background when it has closed."""

    def __init__(self, session: Session, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._session = session
        self.setWindowTitle(self.tr("Download a model"))
        self._build()
        self._fill()
        self._show_choice()
        self.resize(680, 700)

    @property
    def wish(self) -> tuple[str, str]:
        """The source and the SHA-256, as they were chosen or typed."""
        return self.source.text().strip(), self.sha256.text().strip()

    # Building

    def _build(self) -> None:
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Models that can be downloaded"))
        self.list.setIconSize(QSize(20, 20))
        self.list.setSpacing(1)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.currentItemChanged.connect(self._take_item)
        self.source, self.sha256 = QLineEdit(), QLineEdit()
        self.source.setPlaceholderText(self.tr("owner/name/file.gguf of Hugging Face, or an address"))
        self.source.textEdited.connect(self._forget_item)
        self.source.textChanged.connect(self._show_choice)
        self.sha256.setPlaceholderText(self.tr("only where somebody told you: Hugging Face's is checked anyway"))
        self.sha256.textChanged.connect(self._show_choice)
        form = QFormLayout()
        style.spaced(form, 0)
        form.addRow(self.tr("&File"), self.source)
        form.addRow(self.tr("SHA-&256"), self.sha256)
        self.sum = plain()
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addWidget(self.list, 1)
        column.addLayout(form)
        column.addWidget(self.sum)
        column.addWidget(self._note())
        column.addWidget(self._foot())

    def _note(self) -> QWidget:
        return quiet(
            self.tr(
                "A download is the only time that Elenchus opens a connection. It asks for the file, and sends nothing "
                "of your documents."
            )
        )

    def _foot(self) -> QDialogButtonBox:
        buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self.button = buttons.addButton(self.tr("&Download"), QDialogButtonBox.ButtonRole.AcceptRole)
        style.set_icon(self.button, "download")
        self.discard = buttons.addButton(self.tr("&Throw away"), QDialogButtonBox.ButtonRole.ActionRole)
        style.set_icon(self.discard, "remove")
        self.discard.clicked.connect(self._discard)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.button.setDefault(True)
        return buttons

    # Filling

    def _fill(self) -> None:
        """Draws the list anew, in the colours of the day; what is selected stays so."""
        before = self.list.currentRow()
        running = {loading.source for loading in self._session.findChildren(Loading) if loading.active}
        stopped = [begun for begun in unfinished() if begun.text not in running]
        with QSignalBlocker(self.list):
            self.list.clear()
            if stopped:
                self.list.addItem(heading(self.tr("Not finished"), self.list))
            for begun in stopped:
                self._add(begun, begun.name, [self._begun_words(begun)], "recent", "accent")
            self.list.addItem(heading(self.tr("Well-known models"), self.list))
            for known in recommended():
                self._add_known(known)
            self.list.setCurrentRow(before)

    def _add_known(self, known: Recommended) -> None:
        if holds(known):
            mark, glyph, meaning = self.tr("fits this computer"), "accept", "good"
        else:
            mark, glyph, meaning = self.tr("needs more memory than this computer has"), "warning", "warning"
        facts = " · ".join([size_words(known.size), known.licence, mark])
        self._add(known, known.name, [facts, known.good_for], glyph, meaning)

    def _add(self, offer: Unfinished | Recommended, name: str, lines: list[str], glyph: str, meaning: str) -> None:
        item = QListWidgetItem("\n".join([name, *lines]))
        item.setIcon(style.icon(glyph, meaning))
        item.setSizeHint(QSize(0, (1 + len(lines)) * self.fontMetrics().height() + 2 * style.SPACE))
        item.setToolTip(tooltip("\n".join(lines)))
        item.setData(_OFFER, offer)
        self.list.addItem(item)

    def _begun_words(self, begun: Unfinished) -> str:
        if not begun.total:
            return self.tr("Stopped: {} are here already").format(size_words(begun.done))
        return self.tr("Stopped: {} of {} are here already").format(size_words(begun.done), size_words(begun.total))

    @property
    def _offer(self) -> Unfinished | Recommended | None:
        item = self.list.currentItem()
        return item.data(_OFFER) if item is not None and item.isSelected() else None

    def _take_item(self) -> None:
        offer = self._offer
        if isinstance(offer, Unfinished):
            self.source.setText(offer.text)
        elif offer is not None:
            self.source.setText(offer.source)
        self._show_choice()

    def _forget_item(self) -> None:
        self.list.setCurrentRow(-1)

    def _show_choice(self) -> None:
        text, offer = self.wish[0], self._offer
        self.discard.setVisible(isinstance(offer, Unfinished))
        self.button.setText(self.tr("&Go on") if isinstance(offer, Unfinished) else self.tr("&Download"))
        words, problem = "", ""
        try:
            words = self.tr("{} of room in {}.").format(size_words(room()), models_folder())
            if text:
                words = self.tr("From {}. {}").format(read_source(text).host, words)
            if isinstance(offer, Recommended) and offer.size > room():
                problem = self.tr("There is no room for it. {}").format(words)
        except (UserError, OSError) as error:
            problem = str(error)
        self.sum.setText(problem or words)
        tint(self.sum, "warning" if problem else "quiet")
        self.button.setEnabled(bool(text) and not problem)

    # What the user does

    def _discard(self) -> None:
        if isinstance(offer := self._offer, Unfinished):
            with self._session.reporting():
                discard(offer)
            self.list.setCurrentRow(-1)
            self.source.clear()
            self._fill()
            self._show_choice()

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "button"):
            self._fill()
            self._show_choice()


def start_download(session: Session, jobs: Jobs, source: str, sha256: str = "") -> Loading:
    """Downloads in the background, and says what came of it."""
    loading = Loading(session, jobs, source, sha256)
    loading.start()
    return loading


class Loading(QObject):
    """One download: lives until it has ended, though the dialog is gone."""

    arrived = Signal(object)  # the ModelFile

    def __init__(self, session: Session, jobs: Jobs, source: str, sha256: str) -> None:
        super().__init__(session)
        self.source, self._sha256, self._session, self._jobs = source, sha256, session, jobs
        self._job: Job | None = None

    @property
    def active(self) -> bool:
        """Whether it waits or goes on."""
        return self._job is not None and self._job.active

    def start(self) -> None:
        """Begins, or goes on where it stopped."""
        if self.active:
            return
        self._title = self.tr("Downloading {}").format(read_source(self.source).name)
        self._job = job = self._jobs.start("download", self._title, self._work)
        job.retry = self.start
        job.item_arrived.connect(self._tell)
        job.ended.connect(self._finish)

    def _work(self, job: Job) -> None:
        """In the thread of its lane."""
        for item in download(self.source, self._sha256, job.cancelled):
            if isinstance(item, Downloading):
                job.say(self._status(item))
            else:
                job.report(item)

    def _status(self, item: Downloading) -> Status:
        if item.waiting:
            return Status(self._title, item.done, item.total, self.tr("trying again: {}").format(item.waiting))
        if item.checking:
            return Status(self.tr("Checking {}").format(item.name), item.done, item.total)
        speed = self.tr("{}/s").format(size_words(int(item.bytes_per_second)))
        done = self.tr("{} of {}").format(size_words(item.done), size_words(item.total)) if item.total else ""
        return Status(self._title, item.done, item.total, " · ".join(filter(None, [done, speed])) if item.done else "")

    def _tell(self, model: ModelFile) -> None:
        self._session.notify(self.tr("“{}” is with the other models now.").format(model.name))
        self.arrived.emit(model)

    def _finish(self, state: str) -> None:
        if state == "cancelled":
            stopped = self.tr("The download was stopped. What has arrived is kept.")
            self._session.notify(stopped, self.tr("&Go on"), self.start)
        elif state == "finished":
            self.deleteLater()
