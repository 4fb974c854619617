"""The shapes that training tools read: one example in, one plain JSON object or CSV row out."""

import re
from collections.abc import Callable
from typing import Any

from core.language import ask_whether
from core.project.records import Example

LETTERS = "ABCDEFGH"

CSV_COLUMNS = (
    "id", "state", "kind", "question", "choices", "answer", "rating",
    "evidence", "document", "document_sha256", "page", "start", "end",
    "run", "model_sha256", "prompt_version", "seed",
)  # fmt: skip


def prompt_and_answer(example: Example) -> tuple[str, str]:
    """What a person would ask and be told: choices are listed, and a claim is asked about."""
    if example.kind == "true_false":
        return f"{ask_whether(example.question, example.answer)} {example.question}", example.answer
    if example.choices:
        listed = [f"{letter}) {text}" for letter, text in zip(LETTERS, example.choices, strict=False)]
        return "\n".join([example.question, *listed]), _lettered(example)
    return example.question, example.answer


def _lettered(example: Example) -> str:
    if example.answer not in example.choices:
        return example.answer
    return f"{LETTERS[example.choices.index(example.answer)]}) {example.answer}"


def alpaca(example: Example) -> dict[str, Any]:
    """Stanford Alpaca: instruction, input, output."""
    prompt, answer = prompt_and_answer(example)
    return {"instruction": prompt, "input": "", "output": answer}


def sharegpt(example: Example) -> dict[str, Any]:
    """ShareGPT: conversations of human and gpt."""
    prompt, answer = prompt_and_answer(example)
    return {"conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": answer}]}


def messages(example: Example) -> dict[str, Any]:
    """OpenAI chat messages."""
    prompt, answer = prompt_and_answer(example)
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}


def completion(example: Example) -> dict[str, Any]:
    """Prompt and completion."""
    prompt, answer = prompt_and_answer(example)
    return {"prompt": prompt, "completion": answer}


JSON_FORMATS: dict[str, Callable[[Example], dict[str, Any]]] = {
    "alpaca": alpaca,
    "sharegpt": sharegpt,
    "messages": messages,
    "completion": completion,
}
FORMATS = (*JSON_FORMATS, "csv")


def provenance(example: Example) -> dict[str, Any]:
    """Where an example comes from, for the key "elenchus" of an exported line; training tools ignore it."""
    return {
        "id": example.id,
        "kind": example.kind,
        "edited": bool(example.overwritten),
        "rating": example.rating,
        "evidence": evidence(example),
        "run": run(example),
    }


def evidence(example: Example) -> dict[str, Any] | None:
    """The evidence with its place: page counts from 1, start and end are characters of the page's text."""
    found = example.evidence
    if found is None:
        return None
    return {
        "text": found.text,
        "document": re.split(r"[/\\]", example.document_path)[-1],  # the folders are nobody's business
        "document_sha256": example.document_sha256,
        "page": found.page,
        "start": found.start,
        "end": found.end,
        "rectangles": [[round(v, 2) for v in (r.x0, r.y0, r.x1, r.y1)] for r in found.rectangles],
    }


def run(example: Example) -> dict[str, Any]:
    """The run that made the example."""
    return {
        "id": example.run_id,
        "model_sha256": example.model_sha256,
        "prompt_version": example.prompt_version,
        "seed": example.seed,
    }


def as_json(example: Example) -> dict[str, Any]:
    """An example in full, as `elenchus show --json` prints it."""
    return {
        "id": example.id,
        "state": example.state,
        "kind": example.kind,
        "question": example.question,
        "answer": example.answer,
        "choices": list(example.choices),
        "draft": {
            "question": example.draft_question,
            "answer": example.draft_answer,
            "choices": list(example.draft_choices),
        },
        "evidence": evidence(example),
        "checks": {c.name: {"passed": c.passed, "score": c.score, "detail": c.detail} for c in example.checks},
        "rating": example.rating,
        "reason": example.reason,
        "run": run(example),
    }


def csv_row(example: Example) -> list[str]:
    """The values of CSV_COLUMNS. A cell that a spreadsheet would run as a formula is given a leading apostrophe."""
    found = example.evidence
    values = (
        example.id, example.state, example.kind, example.question, " | ".join(example.choices), example.answer,
        example.rating,
        found and found.text, example.document, example.document_sha256,
        found and found.page, found and found.start, found and found.end,
        example.run_id, example.model_sha256, example.prompt_version, example.seed,
    )  # fmt: skip
    return [_harmless("" if value is None else str(value)) for value in values]


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
