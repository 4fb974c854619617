"""When work whose child died goes on in a fresh one, and when that is given up."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from core.worker import WorkerDied

CRASHES = 3  # within WITHIN seconds: then something is wrong that a fresh child does not mend
WITHIN = 90.0
IN_VAIN = 6  # crashes in a row, however slow (a child that hangs is ended after minutes), with nothing made between


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
        self._in_vain = 0

    def crashed(self, error: WorkerDied) -> Restarted:
        """Notes a crash, after which the work may go on. Raises TooManyCrashes when there were too many lately."""
        self._crashes.append(self._clock())
        self._in_vain += 1
        if len(self._crashes) == CRASHES and self._crashes[-1] - self._crashes[0] <= WITHIN:
            said = f"crash {CRASHES} within {WITHIN:.0f} seconds"
        elif self._in_vain >= IN_VAIN:
            said = f"crash {IN_VAIN} with nothing made in between"
        else:
            return Restarted(str(error))
        raise TooManyCrashes(
            f"{error} This was {said}, so the work was stopped. What was made is kept. "
            "Close other programs or choose a smaller model, then go on with it."
        ) from error

    def forget(self) -> None:
        """The crashes so far are explained: one bad item was to blame for them."""
        self._crashes.clear()
        self.made()

    def made(self) -> None:
        """The work came further."""
        self._in_vain = 0
