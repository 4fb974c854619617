"""Measures a starter GGUF through llama.cpp on generated passages that training has not seen."""

from __future__ import annotations

import argparse
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from generator import READING, Passage, Task, addition, build_task, make_passage
from llama_cpp import Llama

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "resources" / "models" / "starter.gguf"
PASSAGES, SENTENCES = 500, (3, 4, 5, 6, 7)
CLAIMS_PER_ARM = 200


class Reader:
    """The model behind llama.cpp, read greedily."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        self.model = Llama(str(path), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)

    def reply(self, request: str, temperature: float = 0.0, seed: int = 0) -> str:
        """What the model says to a user message."""
        prompt = f"<|im_start|>user\n{request}<|im_end|>\n<|im_start|>assistant\n"
        made = self.model.create_completion(prompt, max_tokens=160, temperature=temperature, seed=seed)
        return made["choices"][0]["text"]  # type: ignore[index]


def tasks(seed: int = 2_000_003, passages: int = PASSAGES) -> Iterator[tuple[str, Task]]:
    """One task of every family on each held-out passage (where it offers one), then addition claims.

    Each comes with what its passage is like.
    """
    r = random.Random(seed)
    for _ in range(passages):
        size = r.choice(SENTENCES)
        p = make_passage(r, size)
        for name in READING.tasks:
            if task := build_task(name, p, r):
                rival = "said of others too" if name == "answer" and has_rival(p, task) else ""
                yield rival or f"of {size} sentences", task
    for arm in ("none", "agree", "disagree"):
        for n in range(CLAIMS_PER_ARM):
            yield "", addition(r, arm, bool(n & 1), bool(n & 2))


def has_rival(p: Passage, task: Task) -> bool:
    """Whether the passage answers the same question about another subject: the same words but for the names."""
    question = task.prompt.split("Question: ")[1].split("\n")[0]
    others = (item for item in p.items if question not in item.questions)
    return any(nameless(question) == nameless(other) for item in others for other in item.questions)


def nameless(question: str) -> str:
    """A question without the names in it."""
    return " ".join(re.sub(r"\b(the |of |in )?[A-Z][\w’'-]*", "", question[0].lower() + question[1:]).split())


def score(task: Task, reply: str) -> dict[str, bool]:
    """Which measures a reply meets."""
    if task.name.startswith("pick"):
        passage = task.prompt.split("\n\nTask:")[0]
        return {"in the passage": reply in passage and bool(reply), "an expected answer": reply in task.accepted}
    if task.name.startswith("ask_"):
        good = reply in task.accepted
        return (
            {"an accepted question": good}
            if task.name == "ask_unanswerable"
            else {"exact": reply == task.reply, "an accepted question": good}
        )
    if task.name.startswith("addition"):
        return {"as designed": reply == task.reply}
    if task.name == "claim_false":
        return {"the claim with another value": is_lie(reply, *task.accepted)}
    return {"exact": reply == task.reply}


def is_lie(reply: str, before: str, truth: str, after: str) -> bool:
    """Whether the reply says what the claim says, with something else in the answer's place: any value will do."""
    value = reply.removeprefix(before).removesuffix(after)
    return reply == before + value + after and bool(value.strip()) and value != truth


def measure(reader: Reader, passages: int, misses: int = 0) -> dict[tuple[str, str], tuple[int, int]]:
    """Hits and trials of each measure by task; prints the first misses of each."""
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    shown: dict[str, int] = defaultdict(int)
    for kind, task in tasks(passages=passages):
        reply = reader.reply(task.prompt)
        results = score(task, reply)
        for name, hit in results.items():
            hits[task.name, name].append(hit)
            if task.name in ("answer", "ask_factual") and name == "exact":
                hits[task.name, f"exact, {kind}"].append(hit)
        if not all(results.values()) and shown[task.name] < misses:
            shown[task.name] += 1
            print(f"--- {task.name}\n{task.prompt}\n  wanted: {task.reply}\n  got:    {reply}")
    return {key: (sum(h), len(h)) for key, h in sorted(hits.items())}


def table(results: dict[tuple[str, str], tuple[int, int]]) -> str:
    """The figures as a Markdown table."""
    rows = [f"| {task} | {name} | {n} | {100 * hit / n:.1f} % |" for (task, name), (hit, n) in results.items()]
    return "\n".join(["| task | measure | n | share |", "|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--passages", type=int, default=PASSAGES)
    parser.add_argument("--misses", type=int, default=0, help="how many misses of each task to print")
    parser.add_argument("--write", action="store_true", help="write EVALUATION.md")
    args = parser.parse_args()
    figures = table(measure(Reader(args.model), args.passages, args.misses))
    print(figures)
    if args.write:
        intro = (
            f"# What the starter model can do\n\nRead greedily through llama.cpp on {args.passages} generated "
            "passages of 3 to 7 sentences that training has not seen, one task of each kind on each, and on "
            f"{CLAIMS_PER_ARM} addition claims for each arm. `evaluate.py --write` makes this file. "
            "“Said of others too”: the passage answers the same question about another subject as well; the rows by "
            "number of sentences are of the other passages.\n\n"
        )
        (HERE / "EVALUATION.md").write_text(intro + figures + "\n", "utf-8")


if __name__ == "__main__":
    main()
