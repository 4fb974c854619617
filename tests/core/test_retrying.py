"""When crashes are too many."""

from itertools import count

import pytest

from core.retrying import CRASHES, IN_VAIN, WITHIN, Restarted, Retries, TooManyCrashes
from core.worker import WorkerDied


def test_the_third_crash_within_ninety_seconds_stops_the_work() -> None:
    assert (CRASHES, WITHIN) == (3, 90.0)
    times = iter([0.0, 50.0, 90.5, 140.5, 181.0, 230.0])
    retries = Retries(lambda: next(times))
    for _ in range(5):
        assert retries.crashed(WorkerDied("It broke.")) == Restarted("It broke.")
    with pytest.raises(
        TooManyCrashes, match=r"^It broke\. This was crash 3 within 90 seconds.*What was made is kept\."
    ):
        retries.crashed(WorkerDied("It broke."))


def test_slow_crashes_stop_the_work_when_nothing_is_made_between_them() -> None:
    times = count(0.0, 1000.0)
    retries = Retries(lambda: next(times))
    for explained in (retries.made, retries.forget, bool):
        for _ in range(IN_VAIN - 1):
            retries.crashed(WorkerDied("It hung."))
        explained()
    with pytest.raises(TooManyCrashes, match=r"crash 6 with nothing made in between"):
        retries.crashed(WorkerDied("It hung."))


def test_crashes_that_are_explained_do_not_count() -> None:
    retries = Retries(lambda: 0.0)
    for _ in range(3):
        retries.crashed(WorkerDied("It broke."))
        retries.crashed(WorkerDied("It broke."))
        retries.forget()
    retries.crashed(WorkerDied("It broke."))
    retries.crashed(WorkerDied("It broke."))
    with pytest.raises(TooManyCrashes):
        retries.crashed(WorkerDied("It broke."))
