"""Trainings that die, stop or fail as a test wants: jobs of the worker, by the names that it imports them by."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.engine.requests import EngineSettings
from core.errors import UserError
from core.tuning.records import Checkpointed, Stepped, TuningJob
from core.tuning.training import train_job


def dies_once(model: Path, settings: EngineSettings, job: TuningJob) -> Iterator[Any]:
    """The real training, whose process is killed two steps after the first checkpoint that follows a step."""
    marker = Path(job.folder).parent / "died"
    kept = 0
    for item in train_job(model, settings, job):
        yield item
        kept = item.step if isinstance(item, Checkpointed) else kept
        if isinstance(item, Stepped) and kept and item.step == kept + 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def dies_always(model: Path, settings: EngineSettings, job: TuningJob) -> Iterator[Any]:
    """A training whose process is killed after its first step, each time."""
    yield Stepped(1, 10, 0.1, 2.0, 1e-4, 1.0, 64, 0.1, 1 << 20)
    os.kill(os.getpid(), signal.SIGKILL)


def full_disk(model: Path, settings: EngineSettings, job: TuningJob) -> Iterator[Any]:
    """The real training, until its state cannot be saved a second time."""
    for item in train_job(model, settings, job):
        yield item
        if isinstance(item, Checkpointed) and item.step:
            raise UserError("The state of the training could not be saved: No space left on device.")
