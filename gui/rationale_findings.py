"""What runs found out about rationales: where the steps lead, and what they add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.project.project import Project
from core.project.records import ScoreRow
from core.rationales.checking import gain_before

NAMES = ("rationale_leads", "question_alone", "rationale_gain")


@dataclass(frozen=True)
class Finding:
    """Whether steps and question lead to the answer, whether the question alone does, and the gain (nats a token)."""

    leads: bool | None = None  # None: nobody looked
    alone: bool | None = None
    gain: float | None = None
    before: float | None = None  # of the gain, what the steps before the last bring; None where there is one step


NOTHING = Finding()


class Findings:
    """Keeps what was read, until it is told to forget."""

    def __init__(self) -> None:
        self._found: dict[int, Finding] = {}

    def read(self, project: Project, ids: Sequence[int]) -> None:
        """Reads what was found out about some examples. Raises UserError."""
        scores = {name: project.scores(name, ids) for name in NAMES}
        for id in ids:
            self._found[id] = finding({name: rows[id] for name, rows in scores.items() if id in rows})

    def of(self, example_id: int) -> Finding:
        """What is known of an example that was read."""
        return self._found.get(example_id, NOTHING)

    def forget(self) -> None:
        """Another project, or more was found out."""
        self._found.clear()


def finding(rows: Mapping[str, ScoreRow]) -> Finding:
    """What the figures of one example say, by their names."""
    leads, alone, gain = map(rows.get, NAMES)
    return Finding(
        bool(leads.value) if leads else None,
        bool(alone.value) if alone else None,
        gain.value if gain else None,
        gain_before(gain) if gain else None,
    )
