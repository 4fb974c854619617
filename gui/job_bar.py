"""What runs now, along the lower edge of the window: how far, how fast, how long still, and a way to stop it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QToolButton, QVBoxLayout, QWidget

from gui import style
from gui.jobs import Job, Jobs
from gui.labels import caption, line

REFRESH = 200  # milliseconds: a run reports far more often than anybody reads
STEPS = 1_000  # of a bar: a count of bytes would not fit into its numbers


class JobBar(QWidget):
    """A row for each job that waits or runs; hidden when there is none."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self._jobs = jobs
        self._rows: dict[Job, _Row] = {}
        self._column = QVBoxLayout(self)
        style.spaced(self._column, 0, style.HALF)
        self._timer = QTimer(self, interval=REFRESH)
        self._timer.timeout.connect(self._refresh)
        jobs.changed.connect(self._fill)
        self.hide()

    def _fill(self) -> None:
        for job in [job for job in self._rows if job not in self._jobs.active]:
            row = self._rows.pop(job)
            self._column.removeWidget(row)
            row.deleteLater()
        for job in self._jobs.active:
            if job.in_bar and job not in self._rows:
                self._rows[job] = row = _Row(job)
                self._column.addWidget(row)
        self.setVisible(bool(self._rows))
        if self._rows:
            self._timer.start()
        else:
            self._timer.stop()
        self._refresh()

    def _refresh(self) -> None:
        for row in self._rows.values():
            row.refresh()


class _Row(QWidget):
    """One job: its words, its bar and its Cancel."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job
        self._text, self._detail = line(), caption("")
        for label in (self._text, self._detail):
            label.setMinimumWidth(1)  # a long file name does not widen the window
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(180)
        self._bar.setMaximumHeight(10)
        self._bar.setAccessibleName(job.title)
        self._cancel = QToolButton()
        self._cancel.setText(job.stop_words or self.tr("Cancel"))
        self._cancel.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._cancel.setAccessibleName(f"{self._cancel.text()}: {job.title}")
        style.set_icon(self._cancel, "stop")
        self._cancel.clicked.connect(self._stop)
        if not job.stoppable:
            self._cancel.hide()
        row = QHBoxLayout(self)
        row.setContentsMargins(style.SPACE, style.HALF, style.SPACE, style.HALF)
        row.setSpacing(style.DOUBLE)
        row.addWidget(self._bar)
        row.addWidget(self._text)
        row.addWidget(self._detail, 1)
        row.addWidget(self._cancel)

    def refresh(self) -> None:
        """Shows how far the job is now."""
        status, waits = self._job.status, self._job.state == "waiting"
        text = self.tr("{} (waits)").format(status.text) if waits else status.text
        room = max(200, self.width() // 2)
        self._text.setText(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, room))
        self._bar.setMaximum(STEPS if status.total or waits else 0)  # 0: it moves, and says nothing
        self._bar.setValue(STEPS * min(status.done, status.total) // status.total if status.total else 0)
        parts = [status.detail] if status.detail else []
        if (left := self._job.seconds_left()) is not None:
            parts.append(time_left(left))
        self._detail.setText(" · ".join(parts))

    def _stop(self) -> None:
        self._cancel.setEnabled(False)
        self._cancel.setText(self.tr("Stopping…"))
        self._job.cancel()


def time_left(seconds: float) -> str:
    """Rounded as a person would say it."""
    if seconds < 55:
        return QCoreApplication.translate("JobBar", "{} s left").format(max(5, 5 * round(seconds / 5)))
    if seconds < 5400:
        return QCoreApplication.translate("JobBar", "{} min left").format(max(1, round(seconds / 60)))
    return QCoreApplication.translate("JobBar", "{:.1f} h left").format(seconds / 3600)
