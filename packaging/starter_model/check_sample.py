"""Asks about every section of the sample as the app does, and measures the round trip: does the answer come back?"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from evaluate import MODEL, Reader
from generator import request
from sample_pdf import SAMPLES, sections

KINDS = ("factual", "factual", "factual", "why_how", "definition")
TRIES = 12


@dataclass(frozen=True)
class Row:
    """One question made from the sample."""

    heading: str
    kind: str
    question: str
    answer: str
    back: str
    evidence: str

    @property
    def passes(self) -> bool:
        return overlap(self.answer, self.back) >= 0.8


def normal(text: str) -> list[str]:
    """The words that count when two answers are compared."""
    return [w for w in re.findall(r"\w+", text.lower()) if w not in ("a", "an", "the")]


def overlap(a: str, b: str) -> float:
    """F1 of two answers' words."""
    x, y = normal(a), normal(b)
    both = sum((Counter(x) & Counter(y)).values())
    return 2 * both / (len(x) + len(y)) if x and y else 0.0


def is_span(answer: str, passage: str) -> bool:
    """Whether whole, contiguous words of the passage make up the answer."""
    return bool(answer.strip()) and bool(re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", passage))


def pick(reader: Reader, kind: str, passage: str, taken: set[str], seed: int) -> str | None:
    """A span that was not picked before, drawn as the app draws it."""
    for attempt in range(TRIES):
        answer = reader.reply(request(f"pick_{kind}", passage), 0.7, seed * TRIES + attempt)
        if is_span(answer, passage) and answer not in taken:
            taken.add(answer)
            return answer
    return None


def ask(reader: Reader, heading: str, passage: str) -> list[Row]:
    """The questions of one passage."""
    rows, taken = [], set[str]()
    for seed, kind in enumerate(KINDS):
        answer = pick(reader, kind, passage, taken, seed)
        if answer is None:
            continue
        question = reader.reply(request(f"ask_{kind}", passage, answer))
        back = reader.reply(request("answer", passage, question=question))
        evidence = reader.reply(request("cite", passage, answer, question))
        rows.append(Row(heading, kind, question, answer, back, evidence))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--source", type=Path, default=SAMPLES / "veyra.md")
    parser.add_argument("--headings", action="store_true", help="show the model each heading as the first line")
    args = parser.parse_args()
    reader = Reader(args.model)
    blocks = args.source.read_text("utf-8").strip().split("\n\n")[2:]
    rows: list[Row] = []
    for heading, text in sections(blocks):
        passage = f"{heading}\n{text}" if args.headings else text
        rows += (found := ask(reader, heading, passage))
        for row in found:
            mark = "  " if row.passes else "x "
            cited = "" if row.evidence in text else "   [evidence not verbatim]"
            print(
                f"{mark}{row.kind:10} {row.question} — {row.answer}" + ("" if row.passes else f" / {row.back}") + cited
            )
    passed = sum(row.passes for row in rows)
    print(f"{passed} of {len(rows)} questions pass the round trip ({100 * passed / len(rows):.1f} %)")


if __name__ == "__main__":
    main()
