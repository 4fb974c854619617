"""What runs found out about rationales: where the steps lead, what they add, and whether that is out of date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.project.project import Project
from core.project.records import Example
from core.rationales.running import CHECKS, DRAFTS


@dataclass(frozen=True)
class Finding:
    """Whether steps and question lead to the answer, whether the question alone does, and the gain (nats a token)."""

    leads: bool | None = None  # None: nobody looked
    alone: bool | None = None
    gain: float | None = None
    note: str = ""  # what of the gain the steps before the last bring


NOTHING = Finding()
CHECKED = ("question", "answer", "choices", "rationale")  # what a check is about: who accepts a step changes none of it


class Findings:
    """Keeps what was read, until it is told to forget."""

    def __init__(self) -> None:
        self._found: dict[int, Finding] = {}
        self._runs: list[tuple[str, set[int]]] | None = None  # when each run ended that checked, and what; newest first

    def read(self, project: Project, ids: Sequence[int]) -> None:
        """Reads what was found out about some examples. Raises UserError."""
        names = ("rationale_leads", "question_alone", "rationale_gain")
        leads, alone, gain = (project.scores(name, ids) for name in names)
        for id in ids:
            found = Finding(
                bool(leads[id].value) if id in leads else None,
                bool(alone[id].value) if id in alone else None,
                gain[id].value if id in gain else None,
                gain[id].detail if id in gain else "",
            )
            self._found[id] = found

    def of(self, example_id: int) -> Finding:
        """What is known of an example that was read."""
        return self._found.get(example_id, NOTHING)

    def is_stale(self, project: Project, example: Example) -> bool:
        """Whether a word of the example was changed since it was checked. Raises UserError."""
        if example.edited_at is None or self.of(example.id) == NOTHING:
            return False
        if self._runs is None:
            checking = [run for run in reversed(project.runs()) if run.request.kind in (DRAFTS, CHECKS)]
            self._runs = [(run.ended_at or "", project.scored(run.id)) for run in checking]
        ended = next((ended for ended, ids in self._runs if example.id in ids), "")
        if not ended or example.edited_at <= ended:
            return False
        later = [review for review in project.reviews(example.id) if review.at > ended and not review.undone]
        return any(review.field in CHECKED and review.before != review.after for review in later)

    def forget(self) -> None:
        """Another project, or more was found out."""
        self._found.clear()
        self._runs = None
