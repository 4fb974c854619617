"""The child process: it may crash, hang and grow, and the parent gets a sentence and goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from core import worker as module
from core.errors import UserError
from core.worker import ItemTimeout, JobFailed, MemoryExceeded, Worker, WorkerDied


def count(n: int) -> Iterator[int]:
    yield from range(n)


def crash_after(n: int) -> Iterator[int]:
    yield from range(n)
    os.abort()


def hang() -> Iterator[int]:
    yield 1
    time.sleep(60)


def polite() -> Iterator[int]:
    n = 0
    while not module.cancelled():
        yield n
        n += 1
        time.sleep(0.01)
    yield -1


def chatter() -> Iterator[int]:
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1)) * (1 << 20))
        yield len(kept)
        time.sleep(0.005)


def grow() -> Iterator[int]:
    yield 0
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1)) * (10 << 20))
        time.sleep(0.005)


def refuse() -> Iterator[int]:
    yield 1
    raise UserError("This cannot be done. Do that instead.")


def bug() -> Iterator[int]:
    yield 1
    raise ZeroDivisionError("oops")


def pid() -> Iterator[int]:
    yield os.getpid()


@pytest.fixture(scope="module")
def child() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def test_items_arrive_and_the_child_stays_warm(child: Worker) -> None:
    assert list(child.run(count, 1000)) == list(range(1000))
    assert list(child.run(pid)) == list(child.run(pid))


def test_a_crash_is_a_sentence_and_the_next_job_runs(child: Worker) -> None:
    items = []
    with pytest.raises(WorkerDied, match="ended unexpectedly"):
        items.extend(child.run(crash_after, 3))
    began = time.monotonic()
    assert list(child.run(count, 3)) == [0, 1, 2]
    assert time.monotonic() - began < 5


def test_an_item_that_takes_too_long_is_given_up(child: Worker) -> None:
    job = child.run(hang, item_timeout=0.5)
    assert next(job) == 1
    with pytest.raises(ItemTimeout):
        next(job)


def test_a_job_that_eats_memory_is_ended(child: Worker) -> None:
    with pytest.raises(MemoryExceeded):
        list(child.run(grow, memory_limit=200 << 20))


def test_a_users_error_and_a_bug_come_through(child: Worker) -> None:
    with pytest.raises(UserError, match="Do that instead"):
        list(child.run(refuse))
    with pytest.raises(JobFailed) as caught:
        list(child.run(bug))
    assert "ZeroDivisionError" in caught.value.details


def test_a_polite_job_ends_itself_when_cancelled(child: Worker) -> None:
    before = list(child.run(pid))
    job = child.run(polite)
    items = [next(job)]
    child.cancel()
    items += list(job)
    assert items[-1] == -1
    assert list(child.run(pid)) == before


def test_a_cancel_does_not_reach_the_next_job(child: Worker) -> None:
    for _ in range(20 if os.environ.get("CI") else 6):
        job = child.run(count, 1)
        next(job)
        child.cancel()
        list(job)
        job = child.run(polite)
        assert [next(job), next(job), next(job)] == [0, 1, 2]
        job.close()


def test_a_deaf_job_is_killed_when_cancelled(child: Worker) -> None:
    job = child.run(hang)
    next(job)
    began = time.monotonic()
    child.cancel()
    assert list(job) == []
    assert time.monotonic() - began < 2.5


def test_limits_bind_a_job_that_never_pauses(child: Worker) -> None:
    job = child.run(chatter)
    next(job)
    began = time.monotonic()
    child.cancel()
    for _ in job:
        assert time.monotonic() - began < 2.5
    with pytest.raises(MemoryExceeded):
        list(child.run(chatter, memory_limit=100 << 20))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_the_child_dies_with_its_parent() -> None:
    script = (
        "import time\nfrom core.worker import Worker\nfrom tests.core.test_worker import hang\n"
        "if __name__ == '__main__':\n"
        "    worker = Worker()\n    job = worker.run(hang)\n    next(job)\n"
        "    print(worker._process.pid, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(number) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(number)
