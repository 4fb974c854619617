"""Lanes, jobs and the session: order, cancel, failures, and signals that arrive in the window's thread."""

import os
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, QSettings, Qt
from PySide6.QtWidgets import QLabel, QToolButton
from pytestqt.qtbot import QtBot

from core.errors import Cancelled, UserError
from core.worker import cancelled
from gui.job_bar import JobBar, time_left
from gui.jobs import Job, Jobs, Status
from gui.session import Session
from tests.core.project.project_material import fill, make_document, make_draft, make_passages

LANES = ("lane-documents", "lane-model")


class Listener(QObject):
    """Notes what arrives, and in which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []
        self.threads: set[threading.Thread] = set()

    def hear(self, item: object) -> None:
        self.heard.append(item)
        self.threads.add(threading.current_thread())


def lanes() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name in LANES]


# A job of core, run in the child.


def count_for_ever() -> Iterator[int]:
    number = 0
    while not cancelled():
        yield (number := number + 1)
        time.sleep(0.01)


def report_much(job: Job) -> None:
    for number in range(100):
        job.report(number)


def say_pid() -> Iterator[int]:
    yield os.getpid()


def test_jobs_of_a_lane_come_one_after_the_other(qtbot: QtBot, jobs: Jobs) -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.02 if number == 0 else 0)
        done.append(number)

    for number in range(5):
        jobs.start("documents", "Counting", lambda job, n=number: work(n))
    assert [job.state for job in jobs.active] == ["waiting"] * 5
    qtbot.waitUntil(lambda: not jobs.active)
    assert done == [0, 1, 2, 3, 4]


def test_two_lanes_work_side_by_side(qtbot: QtBot, jobs: Jobs) -> None:
    meeting = threading.Barrier(2, timeout=5)
    started = [jobs.start(lane, "Meeting", lambda job: print(meeting.wait())) for lane in ("documents", "model")]
    qtbot.waitUntil(lambda: not jobs.active)
    assert [job.state for job in started] == ["finished", "finished"]


def test_nothing_reported_at_once_is_missed(qtbot: QtBot, jobs: Jobs) -> None:
    jobs.start("documents", "First", lambda job: None)
    qtbot.waitUntil(lambda: not jobs.active)  # the lane is warm now
    listener, ended = Listener(), Listener()
    job = jobs.start("documents", "Quick", report_much)
    time.sleep(0.05)  # a busy window
    job.item_arrived.connect(listener.hear)
    job.ended.connect(ended.hear)
    qtbot.waitUntil(lambda: bool(ended.heard))
    assert listener.heard == list(range(100))
    assert listener.threads | ended.threads == {threading.main_thread()}


def test_cancel_keeps_what_was_reported(qtbot: QtBot, jobs: Jobs) -> None:
    def work(job: Job) -> None:
        assert job.worker is not None
        for number in job.worker.run(count_for_ever, cancelled=job.cancelled):
            job.report(number)

    listener = Listener()
    job = jobs.start("model", "Counting", work)
    job.item_arrived.connect(listener.hear)
    qtbot.waitUntil(lambda: len(listener.heard) > 2, timeout=20_000)
    began = time.monotonic()
    job.cancel()
    qtbot.waitUntil(lambda: not jobs.active)
    assert job.state == "cancelled"
    assert time.monotonic() - began < 2.5
    assert listener.heard == list(range(1, len(listener.heard) + 1))


def test_a_waiting_job_is_over_at_once_when_it_is_cancelled(qtbot: QtBot, jobs: Jobs) -> None:
    free, ran = threading.Event(), []
    first = jobs.start("model", "Long", lambda job: print(free.wait(5)))
    second = jobs.start("model", "Second", lambda job: ran.append(2))
    third = jobs.start("model", "Third", lambda job: ran.append(3))
    qtbot.waitUntil(lambda: first.state == "running")
    ended = Listener()
    second.ended.connect(ended.hear)
    second.cancel()
    assert (second.state, ended.heard, jobs.active) == ("cancelled", ["cancelled"], [first, third])
    free.set()
    qtbot.waitUntil(lambda: not jobs.active)
    assert ran == [3]


def test_failures_say_what_and_bugs_keep_their_traceback(qtbot: QtBot, jobs: Jobs) -> None:
    def mistake(job: Job) -> None:
        raise UserError("The page is blank. Choose another.")

    def bug(job: Job) -> None:
        raise KeyError("nobody expected this")

    def stop(job: Job) -> None:
        raise Cancelled("Stopped.")

    failed = Listener()
    jobs.job_failed.connect(failed.hear)
    first, second, third = (jobs.start("documents", "Working", work) for work in (mistake, bug, stop))
    qtbot.waitUntil(lambda: not jobs.active)
    assert failed.heard == [first, second]
    assert isinstance(first.error, UserError)
    assert (str(first.error), first.details) == ("The page is blank. Choose another.", "")
    assert "def bug" not in second.details
    assert "nobody expected this" in second.details
    assert "in bug" in second.details
    assert third.state == "cancelled"


def test_a_failed_job_leaves_the_child_to_the_next(qtbot: QtBot, jobs: Jobs) -> None:
    """An error's traceback keeps the frame, and with it a generator that is still at work."""

    def full(job: Job) -> None:
        assert job.worker is not None
        items = job.worker.run(count_for_ever)
        for _ in items:
            raise UserError("The disk is full.")

    def next_one(job: Job) -> None:
        assert job.worker is not None
        for pid in job.worker.run(say_pid):
            job.report(pid)

    failed, listener = Listener(), Listener()
    jobs.job_failed.connect(failed.hear)
    first = jobs.start("model", "Filling", full)
    second = jobs.start("model", "Next", next_one)
    second.item_arrived.connect(listener.hear)
    qtbot.waitUntil(lambda: not jobs.active, timeout=30_000)
    assert failed.heard == [first]
    assert second.state == "finished"
    assert len(listener.heard) == 1


def test_unloading_ends_the_child(qtbot: QtBot, jobs: Jobs) -> None:
    def work(job: Job) -> None:
        assert job.worker is not None
        for pid in job.worker.run(say_pid):
            job.report(pid)

    listener = Listener()
    for _ in range(2):
        jobs.start("model", "Asking", work).item_arrived.connect(listener.hear)
    jobs.free("model")
    jobs.start("model", "Asking", work).item_arrived.connect(listener.hear)
    qtbot.waitUntil(lambda: not jobs.active, timeout=30_000)
    first, second, third = listener.heard
    assert first == second != third


def test_what_stops_the_run_does_not_stop_the_unloading_after_it(qtbot: QtBot, jobs: Jobs) -> None:
    def work(job: Job) -> None:
        assert job.worker is not None
        for number in job.worker.run(count_for_ever, cancelled=job.cancelled):
            job.report((number, job.worker))

    listener = Listener()
    job = jobs.start("model", "Counting", work)
    job.item_arrived.connect(listener.hear)
    unloading = jobs.free("model")
    waiting = jobs.start("model", "Counting", work)
    qtbot.waitUntil(lambda: bool(listener.heard), timeout=20_000)
    jobs.cancel_all()
    qtbot.waitUntil(lambda: not jobs.active)
    assert (job.state, unloading.state, waiting.state) == ("cancelled", "finished", "cancelled")
    assert isinstance(listener.heard[0], tuple)
    assert not listener.heard[0][1].alive


def test_close_stops_all_and_leaves_no_thread(qtbot: QtBot) -> None:
    jobs = Jobs()
    failed = Listener()
    jobs.job_failed.connect(failed.hear)

    def work(job: Job) -> None:
        while not job.cancelled():
            time.sleep(0.005)
        raise UserError("It was stopped in the middle.")

    running = [jobs.start(lane, "Working", work) for lane in ("documents", "documents", "model")]
    qtbot.waitUntil(lambda: running[0].state == running[2].state == "running")
    late = jobs.start("model", "Never begun", work)
    jobs.close()
    assert lanes() == []
    assert jobs.active == []
    assert not any(job.active for job in [*running, late])
    qtbot.wait(50)
    assert failed.heard == []
    assert lanes() == []


def test_time_left_goes_by_the_pace_since_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("gui.jobs.time.monotonic", lambda: now)
    job = Job("model", "Resuming", lambda job: None)
    job.state = "running"
    job.say(Status("Asking", 412, 900))
    now += 10
    assert job.seconds_left() is None
    job.say(Status("Asking", 422, 900))
    assert job.seconds_left() == pytest.approx(478)
    job.say(Status("The next file", 0, 5))
    assert job.seconds_left() is None


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "5 s left"), (50, "50 s left"), (61, "1 min left"), (7200, "2.0 h left")]
)
def test_time_left_is_said_as_a_person_would(seconds: float, said: str) -> None:
    assert time_left(seconds) == said


def test_the_bar_shows_each_job_and_stops_it(qtbot: QtBot, jobs: Jobs) -> None:
    bar = JobBar(jobs)
    qtbot.addWidget(bar)
    assert bar.isHidden()

    def work(job: Job) -> None:
        job.say(Status("Reading <b>a</b> & b.pdf", 3_000_000_000, 6_000_000_000, "61 tokens/s"))
        while not job.cancelled():
            time.sleep(0.005)

    job = jobs.start("documents", "Reading", work)
    assert not bar.isHidden()
    qtbot.waitUntil(lambda: job.status.done > 0)
    qtbot.waitUntil(lambda: "Reading <b>a</b> & b.pdf" in words(bar))
    assert "61 tokens/s" in words(bar)
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in bar.findChildren(QLabel))
    button = bar.findChild(QToolButton)
    assert isinstance(button, QToolButton)
    assert button.accessibleName() == "Cancel: Reading"
    button.click()
    assert not button.isEnabled()
    qtbot.waitUntil(bar.isHidden)
    assert job.state == "cancelled"


def words(bar: JobBar) -> list[str]:
    return [label.text() for label in bar.findChildren(QLabel)]


# The session


def test_changes_arrive_in_the_main_thread_gathered(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    session.create(tmp_path / "a.elenchus")
    examples, documents = Listener(), Listener()
    session.examples_changed.connect(examples.hear)
    session.documents_changed.connect(documents.hear)
    project = session.project
    writing = threading.Thread(target=fill, args=(project, 30))
    writing.start()
    writing.join()
    qtbot.waitUntil(lambda: bool(examples.heard))
    qtbot.wait(200)
    assert documents.heard == [[1]]
    assert list(chain.from_iterable(examples.heard)) == list(range(1, 31))  # pyright: ignore[reportArgumentType]
    assert len(examples.heard) < 5
    assert examples.threads | documents.threads == {threading.main_thread()}


def test_changes_of_a_closed_project_are_not_told_of_the_next(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    examples = Listener()
    session.examples_changed.connect(examples.hear)
    session.create(tmp_path / "a.elenchus")
    run = fill(session.project, 3)
    project = session.project
    writing = threading.Thread(target=project.add_example, args=(run, make_draft(50)))
    writing.start()
    writing.join()
    session.create(tmp_path / "b.elenchus")
    session.project.add_document(make_document("two"), make_passages(), 1200, 200)
    qtbot.wait(250)
    assert examples.heard == []


def test_recent_projects_are_remembered_and_forgotten(session: Session, tmp_path: Path) -> None:
    paths = [tmp_path / "with, comma.elenchus", tmp_path / "ışık <b>.elenchus"]
    for path in paths:
        session.create(path)
    session.settings.sync()
    again = Session(QSettings(session.settings.fileName(), QSettings.Format.IniFormat))
    assert again.recent() == paths[::-1]
    again.forget(paths[1])
    assert again.recent() == paths[:1]
    again.forget(paths[0])
    assert again.recent() == []


def test_a_project_that_is_only_read_can_be_opened_to_write(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "a.elenchus"
    session.create(path)
    session.close()
    session.open(path, read_only=True)
    assert session.project.read_only
    session.open(path)
    assert not session.project.read_only
    same = session.project
    session.open(path)
    assert session.project is same


def test_what_cannot_be_opened_leaves_the_open_one(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    session.create(tmp_path / "a.elenchus")
    (tmp_path / "b.elenchus").write_bytes(b"no project")
    errors = Listener()
    session.error_reported.connect(errors.hear)
    with session.reporting():
        session.open(tmp_path / "b.elenchus")
    with session.reporting():
        raise Cancelled("Not said.")
    assert len(errors.heard) == 1
    assert "b.elenchus" in str(errors.heard[0])
    assert session.project.path == tmp_path / "a.elenchus"


def test_a_notice_may_carry_something_to_do(qtbot: QtBot, session: Session) -> None:
    notices, offers, act = Listener(), [], list
    session.notice_given.connect(notices.hear)
    session.offer_made.connect(lambda *offer: offers.append(offer))
    session.notify("Done.")
    session.notify("Written.", "Show", act)
    assert notices.heard == ["Done."]
    assert offers == [("Written.", "Show", act)]
