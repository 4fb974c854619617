"""Why a question is here: its document, page, run, model, prompts and reviews, folded away until they are asked for."""

from __future__ import annotations

from core.project.records import Check, Example, Review
from gui.facts import Facts
from gui.session import Session
from gui.words import check_words, file_of, local_time, run_words, state_name


class Provenance(Facts):
    """All that is known of where an example comes from."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "")
        self._example: Example | None = None
        self.fold.setText(self.tr("Why is this here?"))

    def show_example(self, example: Example) -> None:
        """Another example, or the same as it is now."""
        self._example = example
        self.refresh()

    def facts(self) -> list[tuple[str, str]]:
        return self._list(self._example) if self._example is not None else []

    def _list(self, example: Example) -> list[tuple[str, str]]:
        project = self.session.project
        run, evidence = project.run(example.run_id), example.evidence
        model, made = run.request, self.tr("{} of {}").format(run.id, local_time(run.started_at))
        checks = example.checks if example.passage_id is None else ()  # of others, the evidence says more
        reviews = [review for review in project.reviews(example.id) if review.field != "rationale_draft"]
        return [
            (self.tr("Document"), example.document),
            (self.tr("File"), example.document_path),
            (self.tr("Its SHA-256"), example.document_sha256),
            (self.tr("Page"), str(evidence.page) if evidence else ""),
            (self.tr("Characters"), f"{evidence.start:,}–{evidence.end:,}" if evidence else ""),
            (self.tr("Imported from"), file_of(run)),
            (self.tr("Run"), " · ".join(filter(None, (made, run_words(model.kind))))),
            (self.tr("Model"), model.model_name),
            (self.tr("Its SHA-256"), model.model_sha256),
            (self.tr("Quantisation"), model.quantisation),
            (self.tr("Prompts"), example.prompt_version),
            (self.tr("Seed"), str(example.seed)),
            (self.tr("Checks"), "\n".join(map(self._check, checks))),
            (self.tr("Attempts"), str(project.attempts(example.id))),
            (self.tr("Made"), local_time(example.created_at)),
            (self.tr("Edited"), local_time(example.edited_at) if example.edited_at else ""),
            (self.tr("Reviews"), "\n".join(map(self._review, reviews))),
        ]

    def _check(self, check: Check) -> str:
        words = check_words(check)
        return f"{words}: {check.detail}" if check.passed and check.detail else words

    def _review(self, review: Review) -> str:
        if review.before == review.after:  # steps that were accepted, or cite something else
            return self.tr("{} · {}").format(local_time(review.at), review.label)
        before, after = (self._value(review.field, text) for text in (review.before, review.after))
        line = self.tr("{} · {}: {} → {}").format(local_time(review.at), review.field, before, after)
        return self.tr("{} (undone)").format(line) if review.undone else line

    def _value(self, field: str, text: str) -> str:
        if field == "state":
            return state_name(text)
        shown = " ".join(text.split())
        return f"“{shown[:60]}…”" if len(shown) > 60 else shown or "–"
