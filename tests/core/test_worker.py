"""The child process: it may crash, hang and grow, and the parent gets a sentence and goes on."""

import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from core import worker as module
from core.errors import UserError
from core.worker import ItemTimeout, JobFailed, MemoryExceeded, Silence, Worker, WorkerDied, WorkerHung

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals and limits")


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


def die_of(name: str) -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.Signals[name])


def keep_the_interpreter() -> Iterator[int]:
    yield 1
    re.match("(a+)+$", "a" * 60 + "b")  # for years, and lets no other thread run meanwhile


def beat(times: int) -> Iterator[int]:
    for _ in range(times):
        module.beat()
        module.cancelled()
    yield 1


def ask_for_too_much() -> Iterator[int]:
    yield 1
    yield len(bytearray(1 << 60))


def expendable() -> Iterator[tuple[str, int]]:
    import resource

    yield Path("/proc/self/oom_score_adj").read_text().strip(), resource.getrlimit(resource.RLIMIT_CORE)[0]


def spoil_the_pipe(how: str) -> Iterator[int]:
    """What a process whose memory is spoilt, or that stops at a bad moment, may do to its pipe."""
    yield 1
    frame = sys._getframe()
    while "jobs" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    jobs: Connection = frame.f_locals["jobs"]
    if how == "half a message":
        os.write(jobs.fileno(), struct.pack("!i", 1000) + b"half")
    elif how == "garbage":
        jobs.send_bytes(b"garbage")
    elif how == "endless":
        os.write(jobs.fileno(), struct.pack("!i", -1) + struct.pack("!Q", 1 << 50))
    else:
        jobs.close()
    time.sleep(60)


def count_bytes(data: bytes) -> Iterator[int]:
    yield len(data)


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


@posix
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("SIGSEGV", "ended unexpectedly (SIGSEGV)"), ("SIGKILL", "perhaps because the computer ran out of memory")],
)
def test_how_it_died_is_said(child: Worker, name: str, sentence: str) -> None:
    with pytest.raises(WorkerDied, match=re.escape(sentence)):
        list(child.run(die_of, name))


@posix
@pytest.mark.parametrize("job", [(keep_the_interpreter,), (die_of, "SIGSTOP")], ids=["busy", "stopped"])
def test_a_child_without_a_sign_of_life_is_ended(child: Worker, job: tuple[Callable[..., Iterator[int]]]) -> None:
    list(child.run(count, 1))
    items = child.run(*job, hang_timeout=0.5)
    assert next(items) == 1
    with pytest.raises(WorkerHung, match="gave no sign of life"):
        next(items)
    assert list(child.run(count, 1)) == [0]


def test_signs_of_life_reach_the_parent(child: Worker) -> None:
    before = child._beats.value
    list(child.run(beat, 500))
    assert child._beats.value - before == 1000


def test_silence_counts_only_while_the_parent_runs() -> None:
    now = 0.0
    silence = Silence(lambda: now)

    def look(seconds: float, beats: int | None) -> float:
        nonlocal now
        now += seconds
        return silence.since(beats)

    assert look(0.5, 0) == 0
    assert [look(0.5, 0) for _ in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert look(8 * 3600, 0) == 3.0  # the machine was asleep
    assert look(0.5, 1) == 0  # a beat
    assert look(0.5, 1) == 0.5
    assert look(60, None) == 0  # an item, which the caller took long to come back for
    assert look(0.5, 1) == 0
    assert look(0.5, 1) == 0.5


def test_want_of_memory_is_a_sentence_and_no_bug(child: Worker) -> None:
    with pytest.raises(WorkerDied, match="ran out of memory"):
        list(child.run(ask_for_too_much))
    assert list(child.run(count, 1)) == [0]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process say so")
def test_the_system_takes_the_child_first_and_keeps_no_dump(child: Worker) -> None:
    assert list(child.run(expendable)) == [(str(module.PREFERRED_VICTIM), 0)]


@posix
@pytest.mark.parametrize("how", ["garbage", "endless", "closed"])
def test_a_spoilt_pipe_is_a_death(child: Worker, how: str) -> None:
    with pytest.raises(WorkerDied, match="could not be understood"):
        list(child.run(spoil_the_pipe, how))
    assert list(child.run(count, 1)) == [0]


@posix
def test_half_a_message_keeps_nobody_waiting(child: Worker) -> None:
    items = child.run(spoil_the_pipe, "half a message", hang_timeout=0.5)
    assert next(items) == 1
    with pytest.raises(WorkerHung):
        next(items)
    items = child.run(spoil_the_pipe, "half a message")
    assert next(items) == 1
    child.cancel()
    assert list(items) == []


@posix
def test_a_child_may_die_while_a_large_job_is_on_its_way(child: Worker) -> None:
    list(child.run(count, 1))
    os.kill(child._process.pid, signal.SIGSTOP)
    items = child.run(count_bytes, bytes(50 << 20))
    threading.Timer(0.2, os.kill, (child._process.pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerDied):
        next(items)
    assert list(child.run(count_bytes, bytes(50 << 20))) == [50 << 20]


def test_a_job_that_cannot_be_sent_says_so_at_once(child: Worker) -> None:
    with pytest.raises((AttributeError, TypeError), match=r"pickle"):
        next(child.run(count_bytes, threading.Lock()))
    assert list(child.run(count, 1)) == [0]


@posix
def test_a_child_that_died_while_idle_is_replaced(child: Worker) -> None:
    (number,) = child.run(pid)
    os.kill(number, signal.SIGKILL)
    child._process.join(5)
    assert list(child.run(pid)) != [number]
    assert not psutil.pid_exists(number)


@posix
def test_nothing_of_a_dead_child_is_left(child: Worker) -> None:
    deaths = [(die_of, "SIGSEGV"), (die_of, "SIGKILL"), (ask_for_too_much,), (spoil_the_pipe, "closed")]
    me = psutil.Process()

    def held() -> tuple[int, int, int]:
        child.close()
        return len(me.children(recursive=True)), me.num_fds(), threading.active_count()

    list(child.run(count, 1))
    before = held()
    for death in deaths:
        with pytest.raises(WorkerDied):
            list(child.run(*death))
        assert held() == before


@posix
@pytest.mark.parametrize(
    "job",
    ["hang", *(["keep_the_interpreter", "die_of, 'SIGSTOP'"] if sys.platform == "linux" else [])],
)
def test_the_child_dies_with_its_parent(job: str) -> None:
    script = (
        "import time\nfrom core.worker import Worker\nfrom tests.core.test_worker import *\n"
        "if __name__ == '__main__':\n"
        f"    worker = Worker()\n    job = worker.run({job})\n    next(job)\n"
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


@posix
def test_the_first_child_of_a_process_does_not_hear_ctrl_c_while_it_starts() -> None:
    script = """
import signal
from multiprocessing import util
from core.worker import Worker
from tests.core.test_worker import count

def spawn(*given):
    blocked.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    return really(*given)

really, util.spawnv_passfds, blocked = util.spawnv_passfds, spawn, []
for _ in range(2):
    with Worker() as worker:
        list(worker.run(count, 1))
print(blocked[-2:])
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout == "[True, True]\n"
