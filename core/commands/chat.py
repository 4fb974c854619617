"""`elenchus chat`: reads a question, prints the answer as it comes, and so on to the end of the input."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from random import Random
from typing import Any

from core import paths
from core.chat import Answer, ChatSettings, converse
from core.commands.console import ProgressLine, opened, print_json, say
from core.commands.tuning import named_adapter
from core.engine.requests import Adapter, Loading, Piece, Sampling
from core.engine.stepping import SteppingDown
from core.errors import UserError
from core.models.files import read_model
from core.project.project import Project
from core.worker import Worker


def chat(options: argparse.Namespace) -> int:
    """The whole command. Returns 1 when a question could not be answered.

    Raises UserError when there is no such model, and KeyboardInterrupt when the user leaves in the midst of an answer.
    """
    model = read_model(options.model or paths.starter_model())
    given = {one.name: value for one in fields(Sampling) if (value := getattr(options, one.name)) is not None}
    settings = ChatSettings(options.system, Sampling(**given), options.max_tokens)
    adapter = _adapter(options, model.path)
    if sys.stdin.isatty():
        say(f"{model.name}. Ctrl+C stops an answer, Ctrl+D leaves.")
    progress, turns = ProgressLine("Loading the model"), list[tuple[str, str]]()
    failed = 0
    with Worker() as worker, _interruptible(worker) as stopped:
        stepping = SteppingDown(worker)
        for question in _questions():
            stopped.clear()
            seed = Random().getrandbits(31) if options.seed is None else options.seed
            try:
                items = converse(stepping, model.path, settings.request(turns, question, seed), adapter)
                answer = _show(items, progress, options.json)
                turns.append((question, answer.text))
                _finish(answer, options.max_tokens, {"model": model.name, "question": question}, options.json)
            except UserError as error:
                progress.end(str(error))
                failed += 1
            if stopped and not sys.stdin.isatty():
                raise KeyboardInterrupt
    return 1 if failed else 0


def _adapter(options: argparse.Namespace, model: Path) -> Adapter | None:
    """The adapter that is wanted; an adapter's name is one of the project's that is given with it."""
    if not options.adapter:
        return None
    if options.project is None:
        return named_adapter(None, options.adapter, options.scale, model)
    with opened(Project, options.project, read_only=True) as project:
        return named_adapter(project, options.adapter, options.scale, model)


def _questions() -> Iterator[str]:
    """What the user types, or each line that another program writes."""
    if not sys.stdin.isatty():
        yield from filter(None, map(str.strip, sys.stdin))
        return
    while True:
        try:
            if question := input("> " if sys.stdout.isatty() else "").strip():
                yield question
        except (EOFError, KeyboardInterrupt):
            print()
            return


def _show(items: Iterator[Any], progress: ProgressLine, as_json: bool) -> Answer:
    """Prints an answer as it comes."""
    begun = False
    try:
        for item in items:
            if isinstance(item, Loading):
                progress.show(f"{item.fraction:.0%}")
            elif isinstance(item, Answer):
                return item
            elif isinstance(item, Piece) and not as_json:
                if not begun:
                    progress.end()
                begun = True
                print(item.text, end="", flush=True)
    finally:
        if begun:
            print(flush=True)
    raise AssertionError("a conversation ends with an answer")


def _finish(answer: Answer, max_tokens: int, about: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(about | asdict(answer))
        return
    ends = {"length": f"reached {max_tokens:,} tokens", "context": "the context is full", "stopped": "stopped"}
    figures = [
        f"{answer.tokens_per_second:.0f} tokens/s" if answer.tokens_per_second else "",
        f"{answer.tokens:,} tokens",
        f"first after {answer.first_seconds:.1f} s" if answer.text else "",
        ends.get(answer.finish, ""),
    ]
    say(f"({', '.join(filter(None, figures))})")


@contextmanager
def _interruptible(worker: Worker) -> Iterator[list[int]]:
    """Ctrl+C stops the answer that is being made; the next one, or one where there is none, leaves.

    Gives a list that is no longer empty when an answer was stopped.
    """
    stopped: list[int] = []

    def stop(number: int, frame: object) -> None:
        if stopped or not worker.busy:
            raise KeyboardInterrupt
        stopped.append(number)
        worker.cancel()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
