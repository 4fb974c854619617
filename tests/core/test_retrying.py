"""When crashes are too many."""

import pytest

from core.retrying import CRASHES, WITHIN, Restarted, Retries, TooManyCrashes
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
