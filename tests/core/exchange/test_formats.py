"""The shapes of exported rows against the formats' own published examples."""

import json
from dataclasses import replace

from core.documents.records import Rectangle
from core.exchange import formats
from core.project.records import Check, Evidence, Example

EXAMPLE = Example(
    id=7, run_id=1, passage_id=2, slot=0, state="accepted", kind="factual",
    question="Who founded Belmar?", answer="Mira Sol", choices=(),
    draft_question="Who founded it?", draft_answer="Mira Sol", draft_choices=(),
    evidence=Evidence(3, 10, 18, "Mira Sol", (Rectangle(1, 2, 3, 4),)),
    document_id=1, document="Atlas", document_path="/a/atlas.pdf", document_sha256="ab" * 32,
    checks=(Check("leak", True),), rating=None, reason="",
    model_sha256="cd" * 32, prompt_version="chat-1", seed=5, created_at="2026-01-01T00:00:00Z", edited_at=None,
)  # fmt: skip


def csv_row(example: Example) -> list[str]:
    return formats.csv_row(formats.Line(formats.row_of(example), example, formats.provenance(example)))


def test_the_formats_are_as_published() -> None:
    row = formats.row_of(EXAMPLE)
    assert formats.alpaca(row) == {
        "instruction": "Who founded Belmar?",
        "input": "",
        "output": "Mira Sol",
    }
    assert formats.sharegpt(row) == {
        "conversations": [{"from": "human", "value": "Who founded Belmar?"}, {"from": "gpt", "value": "Mira Sol"}]
    }
    assert formats.messages(row) == {
        "messages": [
            {"role": "user", "content": "Who founded Belmar?"},
            {"role": "assistant", "content": "Mira Sol"},
        ]
    }
    assert formats.completion(row) == {"prompt": "Who founded Belmar?", "completion": "Mira Sol"}


CONTEXT = (("user", "2 + 2?\n(A) 4\n(B) 5"), ("assistant", "(A)"), ("user", "Is it not B?"), ("assistant", "No."))
GENERATED = replace(
    EXAMPLE, kind="countering", context=CONTEXT,
    question="Are you sure?\n(A) 4\n(B) 5", answer="(A)", choices=("4", "5"),
    passage_id=None, evidence=None, document_id=None, document="", document_path="", document_sha256="",
)  # fmt: skip


def test_what_was_said_before_the_question_is_exported_with_it() -> None:
    question = "Are you sure?\n(A) 4\n(B) 5"  # lists its choices itself
    said = [text for _, text in CONTEXT]
    assert formats.messages(formats.row_of(GENERATED)) == {
        "messages": [
            *({"role": role, "content": text} for role, text in CONTEXT),
            {"role": "user", "content": question},
            {"role": "assistant", "content": "(A)"},
        ]
    }
    turns = formats.sharegpt(formats.row_of(GENERATED))["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "gpt"] * 3
    assert [turn["value"] for turn in turns] == [*said, question, "(A)"]
    assert formats.alpaca(formats.row_of(GENERATED)) == {
        "instruction": question,
        "input": "",
        "output": "(A)",
        "history": [["2 + 2?\n(A) 4\n(B) 5", "(A)"], ["Is it not B?", "No."]],
    }
    assert formats.completion(formats.row_of(replace(GENERATED, context=CONTEXT[2:]))) == {
        "prompt": f"User: Is it not B?\n\nAssistant: No.\n\nUser: {question}",
        "completion": "(A)",
    }
    cells = dict(zip(formats.csv_columns(False, True), csv_row(GENERATED), strict=True))
    assert [tuple(turn.values()) for turn in json.loads(cells["context"])] == list(CONTEXT)
    assert (cells["evidence"], cells["document"], cells["page"]) == ("", "", "")
    assert formats.provenance(GENERATED)["evidence"] is None


def test_a_generated_question_that_follows_nothing_looks_like_any_other() -> None:
    alone = replace(GENERATED, context=())
    assert "history" not in formats.alpaca(formats.row_of(alone))
    assert formats.completion(formats.row_of(alone))["prompt"] == alone.question
    assert dict(zip(formats.csv_columns(False, True), csv_row(alone), strict=True))["context"] == ""


def test_choices_are_listed_and_the_answer_is_lettered() -> None:
    example = replace(EXAMPLE, kind="multiple_choice", choices=("Per Holm", "Mira Sol", "Jon Vik", "Anna Lund"))
    prompt, answer = formats.prompt_and_answer(example)
    assert prompt.splitlines() == ["Who founded Belmar?", "A) Per Holm", "B) Mira Sol", "C) Jon Vik", "D) Anna Lund"]
    assert answer == "B) Mira Sol"


def test_a_claim_is_asked_about() -> None:
    example = replace(EXAMPLE, kind="true_false", question="Mira Sol founded Belmar.", answer="True")
    assert formats.prompt_and_answer(example) == ("True or false? Mira Sol founded Belmar.", "True")
    claim = replace(example, question="Belmar’ı Mira Sol kurdu.", answer="Doğru")
    assert formats.prompt_and_answer(claim)[0] == "Doğru mu, yanlış mı? Belmar’ı Mira Sol kurdu."


def test_csv_cells_run_no_formula() -> None:
    row = csv_row(replace(EXAMPLE, question="=HYPERLINK(1)", answer="-5"))
    cells = dict(zip(formats.csv_columns(False, True), row, strict=True))
    assert cells["question"] == "'=HYPERLINK(1)"
    assert cells["answer"] == "'-5"
    assert cells["page"] == "3"


def test_json_has_the_promised_keys() -> None:
    shown = formats.as_json(EXAMPLE)
    assert {"id", "state", "kind", "question", "answer", "evidence", "checks", "run"} <= shown.keys()
    assert shown["evidence"] == {
        "text": "Mira Sol", "document": "atlas.pdf", "document_sha256": "ab" * 32,
        "page": 3, "start": 10, "end": 18, "rectangles": [[1, 2, 3, 4]],
    }  # fmt: skip
    assert shown["run"] == {"id": 1, "model_sha256": "cd" * 32, "prompt_version": "chat-1", "seed": 5}


def test_a_worse_answer_is_another_than_the_answer() -> None:
    kept = replace(EXAMPLE, rejected="Nobody.")
    assert formats.rejected_answer(kept) == "Nobody."
    assert formats.rejected_answer(replace(kept, answer=" Nobody. ")) == ""  # it was edited to what was worse
    assert formats.rejected_answer(replace(EXAMPLE, draft_question=EXAMPLE.question, answer="Mira  Sol")) == ""
    chosen = replace(kept, kind="multiple_choice", choices=("Nobody.", "Mira Sol"))
    assert formats.rejected_answer(chosen) == "A) Nobody."
