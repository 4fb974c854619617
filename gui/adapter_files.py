"""Adapters as files for others: a GGUF, PEFT's folder, or a model with the adapter in it; each a job with its end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from core import paths
from core.errors import UserError
from core.project.tuning import AdapterRow
from gui.adapters import file_name
from gui.exporting import show_in_folder
from gui.jobs import Job, Jobs, Status
from gui.merge_dialog import MergeDialog, Merger, merged_words
from gui.session import Session

if TYPE_CHECKING:  # with numpy: imported when the first model is merged
    from core.tuning.merge import Merged


class AdapterFiles(QObject):
    """Asks where to, and writes in the background."""

    model_made = Signal(object)  # the Path of a new model

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._jobs, self._window = session, jobs, parent
        self.merger = Merger(session, jobs, self)
        self.merger.merged.connect(self._tell_merged)

    def export_gguf(self, adapter: AdapterRow) -> None:
        """As llama.cpp reads it."""
        start = str(self._folder() / f"{file_name(adapter.name)}.gguf")
        name, _ = QFileDialog.getSaveFileName(self._window, self.tr("Export the adapter"), start, "GGUF (*.gguf)")
        path = Path(name)
        whole = path if path.suffix.lower() == ".gguf" else path.with_name(f"{path.name}.gguf") if name else path
        if whole != path and whole.exists():  # nobody was asked about this one
            self._session.notify(self.tr("{} exists already. Choose another name.").format(whole))
        elif name:
            self._write(adapter, whole, _copy)

    def export_peft(self, adapter: AdapterRow) -> None:
        """As transformers reads it: a new folder in the one that is chosen."""
        title = self.tr("Where to put the folder with the adapter")
        folder = QFileDialog.getExistingDirectory(self._window, title, str(self._folder()))
        if folder:
            self._write(adapter, Path(folder) / f"{file_name(adapter.name)}-peft", _write_peft)

    def merge(self, adapter: AdapterRow) -> None:
        """Shows the dialog that makes a new model."""
        dialog = MergeDialog(self._session, self.merger, adapter, self._window)
        dialog.exec()
        dialog.deleteLater()

    def _write(self, adapter: AdapterRow, path: Path, write: Callable[[Path, Path], None]) -> None:
        project = self._session.project

        def work(job: Job) -> None:
            job.say(Status(job.title))
            try:
                write(project.adapter_file(adapter.id), path)
            except OSError as error:
                raise UserError(f"{path} could not be written: {error.strerror}. Choose another folder.") from error
            job.report(path)

        self._session.settings.setValue("tuning/folder", str(path.parent))
        job = self._jobs.start("documents", self.tr("Exporting “{}”").format(adapter.name), work, stoppable=False)
        job.item_arrived.connect(self._tell)

    def _tell(self, path: Path) -> None:
        self._session.notify(
            self.tr("Written to {}.").format(path), self.tr("Show in &folder"), partial(show_in_folder, path)
        )

    def _tell_merged(self, merged: Merged) -> None:
        show = partial(show_in_folder, merged.path)
        self._session.notify(merged_words(merged), self.tr("Show in &folder"), show)
        self.model_made.emit(merged.path)

    def _folder(self) -> Path:
        kept = Path(str(self._session.settings.value("tuning/folder", "") or self._session.project.path.parent))
        return kept if os.path.isdir(kept) else self._session.project.path.parent


def _copy(adapter: Path, path: Path) -> None:
    with paths.finished_file(path) as partial_file:
        shutil.copyfile(adapter, partial_file)


def _write_peft(adapter: Path, folder: Path) -> None:
    from core.tuning.adapter_file import export_peft, read_adapter

    export_peft(read_adapter(adapter), folder)
