"""The open project as the window sees it: what to read and write through, and signals for what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QSettings, QTimer, Signal

from core import paths
from core.errors import Cancelled, UserError
from core.project.project import Project

RECENT = 12  # projects remembered
ADAPTERS = 8
GATHER = 80  # milliseconds in which changes are gathered into one signal: a run commits many rows a second


class Session(QObject):
    """Holds the project, the settings of the window, and the passwords given since it was started.

    The changed-signals come in the thread of the window, whoever wrote, some milliseconds after the commit.
    """

    project_opened = Signal()
    project_closing = Signal()  # it is still there: the last moment to write what is half done
    project_closed = Signal()
    documents_changed = Signal(list)  # ids
    examples_changed = Signal(list)  # ids
    runs_changed = Signal(list)  # ids
    responses_changed = Signal(list)  # ids of the runs of probes that were answered
    suites_changed = Signal(list)  # ids
    datasets_changed = Signal(list)  # ids
    adapters_changed = Signal(list)  # ids
    tuning_changed = Signal(list)  # ids of the runs that went on to tune
    rationales_changed = Signal(list)  # ids of the examples that steps were drafted for
    scores_changed = Signal(list)  # ids of the runs that scored
    picks_changed = Signal(list)  # ids
    passages_changed = Signal(list)  # ids of those that were marked
    error_reported = Signal(object)  # a UserError to be shown
    notice_given = Signal(str)  # a sentence to be shown for a moment
    offer_made = Signal(str, str, object)  # a notice, the label of a button, and what it does
    _touched = Signal(object, str, list)  # from any thread: the Project, a table, ids

    def __init__(self, settings: QSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or QSettings(str(paths.data_folder() / "window.ini"), QSettings.Format.IniFormat)
        self.passwords: dict[str, str] = {}  # by a document's path; never written anywhere
        self._project: Project | None = None
        self._waiting: dict[str, set[int]] = {}
        self._labels: dict[int, list[str]] = {}  # by document
        self._gather = QTimer(self, singleShot=True, interval=GATHER)
        self._gather.timeout.connect(self._announce)
        self._touched.connect(self._note)

    @property
    def project(self) -> Project:
        """The open project; only to be asked for while there is one."""
        assert self._project is not None
        return self._project

    @property
    def is_open(self) -> bool:
        """Whether a project is open."""
        return self._project is not None

    def open(self, path: Path, read_only: bool = False) -> None:
        """Opens a project in place of the one that is open. Raises UserError, and then leaves that one open."""
        if self._project is not None and (path.resolve(), read_only) == (self._project.path, self._project.read_only):
            return
        project = Project.open(path, read_only=read_only)
        self.close()
        self._project = project
        project.changed.append(partial(self._touched.emit, project))
        self._remember(project.path)
        self.project_opened.emit()
        if project.notice:
            self.notice_given.emit(project.notice)

    def create(self, path: Path) -> None:
        """Makes an empty project and opens it. Raises UserError."""
        Project.create(path).close()
        self.open(path)

    def close(self) -> None:
        """Closes the project, if one is open."""
        if self._project is None:
            return
        self.project_closing.emit()
        project, self._project = self._project, None
        self._waiting.clear()
        self._labels.clear()
        project.changed.clear()
        project.close()
        self.project_closed.emit()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """A UserError inside is shown to the user and goes no further."""
        try:
            yield
        except Cancelled:
            pass
        except UserError as error:
            self.error_reported.emit(error)

    def notify(self, text: str, label: str = "", action: Callable[[], object] | None = None) -> None:
        """Shows a sentence for a moment, with a button where there is something to do about it."""
        if action is None:
            self.notice_given.emit(text)
        else:
            self.offer_made.emit(text, label, action)

    def page_label(self, document_id: int, number: int) -> str:
        """What a document calls one of its pages, such as “xii”; its number where it has no name for it."""
        if not self.is_open:
            return str(number)
        if document_id not in self._labels:
            self._labels[document_id] = self.project.page_labels(document_id)
        labels = self._labels[document_id]
        return (labels[number - 1] if 0 < number <= len(labels) else "") or str(number)

    def only_read(self) -> str:
        """What is said where nothing may be written."""
        return self.tr("This project is open to be read only: nothing can be changed.")

    def may_write(self) -> bool:
        """Whether a project is open that may be changed; says why not where one is open."""
        if self.is_open and self.project.read_only:
            self.notice_given.emit(self.only_read())
        return self.is_open and not self.project.read_only

    def recent(self) -> list[Path]:
        """The projects that were open last, newest first, whether they are still there or not."""
        return self._paths("recent")

    def chosen_models(self) -> list[Path]:
        """The model files that the user chose besides those in the models folder."""
        return self._paths("models")

    def known_adapters(self) -> list[Path]:
        """The LoRA adapters that were chosen, the last one first."""
        return self._paths("chat/adapters")

    def remember_adapter(self, path: Path) -> None:
        """Puts an adapter before the others that were chosen."""
        others = [other for other in self.known_adapters() if other != path]
        self.settings.setValue("chat/adapters", [str(other) for other in [path, *others][:ADAPTERS]])

    def forget(self, path: Path) -> None:
        """Takes a project off the list of recent ones."""
        self.settings.setValue("recent", [str(other) for other in self.recent() if other != path])

    def _paths(self, name: str) -> list[Path]:
        kept = self.settings.value(name, [], list)
        return [Path(str(path)) for path in kept if path]  # pyright: ignore[reportGeneralTypeIssues]

    def _remember(self, path: Path) -> None:
        others = [other for other in self.recent() if other != path]
        self.settings.setValue("recent", [str(other) for other in [path, *others][:RECENT]])

    def _note(self, project: Project, table: str, ids: list[int]) -> None:
        if project is not self._project:  # written just before another was opened
            return
        self._waiting.setdefault(table, set()).update(ids)
        if not self._gather.isActive():
            self._gather.start()

    def _announce(self) -> None:
        waiting, self._waiting = self._waiting, {}
        signals = {
            "documents": self.documents_changed,
            "examples": self.examples_changed,
            "runs": self.runs_changed,
            "responses": self.responses_changed,
            "suites": self.suites_changed,
            "datasets": self.datasets_changed,
            "adapters": self.adapters_changed,
            "tuning": self.tuning_changed,
            "rationales": self.rationales_changed,
            "scores": self.scores_changed,
            "picks": self.picks_changed,
            "passages": self.passages_changed,
        }
        if "documents" in waiting:
            self._labels.clear()
        for table, ids in waiting.items():
            if table in signals:
                signals[table].emit(sorted(ids))
