"""When work whose child died goes on in a fresh one, and when that is given up."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from core.worker import WorkerDied

CRASHES = 3  # within WITHIN seconds: then something is wrong that a fresh child does not mend
WITHIN = 90.0


class TooManyCrashes(WorkerDied):
    """The child died again and again: the work stops, and may be gone on with later."""


@dataclass(frozen=True)
class Restarted:
    """The child died, for this reason in a sentence, and the work goes on in a fresh one."""

    reason: str


class Retries:
    """The crashes of one piece of work. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._crashes: deque[float] = deque(maxlen=CRASHES)

    def crashed(self, error: WorkerDied) -> Restarted:
        """Notes a crash, after which the work may go on. Raises TooManyCrashes when there were too many lately."""
        self._crashes.append(self._clock())
        if len(self._crashes) == CRASHES and self._crashes[-1] - self._crashes[0] <= WITHIN:
            raise TooManyCrashes(
                f"{error} This was crash {CRASHES} within {WITHIN:.0f} seconds, so the work was stopped. What was made "
                "is kept. Close other programs or choose a smaller model, then go on with it."
            ) from error
        return Restarted(str(error))

    def forget(self) -> None:
        """The crashes so far are explained: one bad item was to blame for them."""
        self._crashes.clear()
