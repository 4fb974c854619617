"""The command line: `elenchus …` does without a window what the window does. Data on stdout, progress on stderr."""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import core
from core import paths
from core.errors import Cancelled, JobFailed, UserError
from core.project.records import KINDS, STATES

if TYPE_CHECKING:
    from core.engine.devices import Device
    from core.models.files import ModelFile
    from core.models.recommended import Recommended

N = TypeVar("N", int, float)

CANCELLED = 130
COMMANDS = ("new", "add", "text", "ask", "show", "review", "export", "models", "download", "devices", "chat")


def main(arguments: list[str] | None = None, open_window: Callable[[Path | None], int] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 1 for a user's error, 2 for usage, 130 when cancelled.

    `open_window` opens the window on a project, and is given by who has one: `core` knows none.
    """
    multiprocessing.freeze_support()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or (arguments[0] not in COMMANDS and not arguments[0].startswith("-")):
        arguments = ["open", *arguments]
    options = _parser().parse_args(arguments)
    options.open_window = open_window
    try:
        code = options.run(options) or 0
        sys.stdout.flush()
        return code
    except (Cancelled, KeyboardInterrupt):
        _say("Cancelled. What was finished is kept.")
        return CANCELLED
    except UserError as error:
        _say(str(error))
        return 1
    except JobFailed as error:
        _say(f"{error.details}\nThis is a bug in Elenchus; what was finished is kept. Please report the lines above.")
        return 1
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough; keep Python from complaining about it at exit.
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 0 if options.run in (_text, _show, _models, _devices) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="elenchus",
        description="From PDFs to questions with verbatim evidence, on a local model, in one project file.",
        epilog="elenchus [PROJECT] opens the window.",
    )
    parser.add_argument("--version", action="version", version=f"Elenchus {core.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, help: str, project: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        if project:
            sub.add_argument("project", type=Path, metavar="PROJECT", help="a .elenchus file")
        return sub

    sub = command("open", _open, "open the window", project=False)
    sub.add_argument("project", type=Path, nargs="?", metavar="PROJECT")

    command("new", _new, "make an empty project")

    sub = command("add", _add, "read PDFs into a project")
    sub.add_argument("pdfs", type=Path, nargs="+", metavar="PDF")
    sub.add_argument("--password", help="opens the PDFs that are encrypted")
    sub.add_argument("--passage-size", type=_number(1, 1_000_000), default=1200, help="characters (default 1200)")
    sub.add_argument("--overlap", type=_number(0, 1_000_000), default=200, help="characters (default 200)")

    sub = command("text", _text, "print the text of a PDF, a page at a time", project=False)
    sub.add_argument("pdf", type=Path, metavar="PDF")
    sub.add_argument("--page", type=_number(1, 10**9), help="only this page, counting from 1")
    sub.add_argument("--password")
    sub.add_argument("--json", action="store_true", help="a JSON object a page")

    sub = command("ask", _ask, "make questions from the project's passages")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the starter model, for trying the app")
    sub.add_argument("--per-passage", type=_number(1, 100), help="questions (default 2)")
    sub.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    sub.add_argument("--limit", type=_number(1, 10**9), help="at most this many questions")
    sub.add_argument("--language", help="of the questions, in English words; default: the passage's")
    sub.add_argument("--seed", type=_number(0, 2**62), help="default 0: equal seeds give equal questions")
    sub.add_argument("--resume", action="store_true", help="go on with the run that did not finish, as it was begun")

    sub = command("show", _show, "print the examples")
    sub.add_argument("--state", choices=STATES)
    sub.add_argument("--json", action="store_true", help="a JSON object an example")

    sub = command("review", _review, "accept or reject examples")
    sub.add_argument("ids", type=_number(1, 2**62), nargs="+", metavar="ID")
    verdict = sub.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--accept", dest="state", action="store_const", const="accepted")
    verdict.add_argument("--reject", dest="state", action="store_const", const="rejected")

    sub = command("export", _export, "write a training set and its dataset card")
    sub.add_argument("--format", required=True, choices=("alpaca", "sharegpt", "messages", "completion", "csv"))
    sub.add_argument("--out", type=Path, required=True, metavar="FILE")
    sub.add_argument("--state", choices=STATES, default="accepted")
    sub.add_argument("--plain", action="store_true", help="leave out the provenance of each line")

    sub = command("models", _models, "list the models at hand, and how they fit this computer", project=False)
    sub.add_argument("--recommended", action="store_true", help="those that can be downloaded, and whether they fit")
    sub.add_argument("--json", action="store_true", help="a JSON object a model")

    sub = command("download", _download, "download a model: the one command that opens a connection", project=False)
    sub.add_argument("source", metavar="SOURCE", help="owner/name/file.gguf of Hugging Face, @revision, or an address")
    sub.add_argument("--sha256", metavar="HEX", default="", help="what the file's checksum must be")
    sub.add_argument("--json", action="store_true", help="a JSON object for the model")

    sub = command("devices", _devices, "list what models can run on", project=False)
    sub.add_argument("--json", action="store_true", help="a JSON object a device")

    sub = command("chat", _chat, "talk with a model: a question a line", project=False)
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the starter model, which knows no chat")
    sub.add_argument("--system", default="", metavar="TEXT", help="tells the model how to answer")
    sub.add_argument("--adapter", type=Path, metavar="GGUF", help="a LoRA that is added to the model")
    sub.add_argument("--scale", type=_number(0.0, 10.0), default=1.0, help="of the adapter (default 1)")
    sub.add_argument("--temperature", type=_number(0.0, 10.0), help="0: always the likeliest word (default 0.7)")
    sub.add_argument("--top-k", type=_number(0, 10**6), help="0: all (default 40)")
    sub.add_argument("--top-p", type=_number(0.0, 1.0), help="default 0.95")
    sub.add_argument("--min-p", type=_number(0.0, 1.0), help="default 0.05")
    sub.add_argument("--repeat-penalty", type=_number(0.1, 10.0), help="default 1: none")
    sub.add_argument("--max-tokens", type=_number(1, 10**6), default=512, help="of an answer (default 512)")
    sub.add_argument("--seed", type=_number(0, 2**62), help="default: another one for each answer")
    sub.add_argument("--json", action="store_true", help="a JSON object an answer, when it is whole")
    return parser


def _number(least: N, most: N) -> Callable[[str], N]:
    """A type for argparse: numbers of a range, whole where its ends are."""

    def parse(text: str) -> N:
        value = type(least)(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    parse.__name__ = "number"
    return parse


def _open(options: argparse.Namespace) -> int:
    if options.open_window is None:
        raise UserError("The window opens with the command elenchus, or with python -m gui.")
    return options.open_window(options.project)


def _new(options: argparse.Namespace) -> None:
    from core.project.project import Project

    Project.create(options.project).close()
    _say(f"Made {options.project}. Next: elenchus add {options.project} PDF…")


def _add(options: argparse.Namespace) -> int:
    from core.project.importing import add_pdf
    from core.project.project import Project
    from core.worker import Worker

    failed = 0
    with _opened(Project, options.project) as project, Worker() as worker, _interruptible(worker) as stopped:
        for pdf in options.pdfs:
            progress = _Progress(f"Reading {pdf.name}")
            try:
                row = add_pdf(
                    project,
                    worker,
                    pdf,
                    options.password,
                    options.passage_size,
                    options.overlap,
                    progress.show_page,
                    stopped,
                )
            except Cancelled:
                break
            except UserError as error:
                progress.end(f"{pdf}: {error}")
                failed += 1
                continue
            progress.end(f"Added {row.title or pdf.name}: {row.pages} pages, {row.passages} passages.")
            for warning in row.warnings:
                _say(f"  {warning}")
    return 1 if failed else 0


def _text(options: argparse.Namespace) -> None:
    from core.documents.reader import read_document, read_page
    from core.worker import Worker

    progress = _Progress(f"Reading {options.pdf.name}")
    with Worker() as worker, _interruptible(worker) as stopped:
        if options.page is not None:
            pages = (read_page(worker, options.pdf, options.page, options.password),)
        else:
            document = read_document(worker, options.pdf, options.password, progress.show_page, stopped)
            pages = document.pages
            for warning in document.warnings:
                _say(warning)
    progress.end()
    for page in pages:
        if options.json:
            _print_json({"page": page.number, "label": page.label, "text": page.text, "warnings": list(page.warnings)})
            continue
        print(f"--- page {page.label} ---\n{page.text}\n")
        for warning in page.warnings:
            _say(f"Page {page.label}: {warning}")


def _ask(options: argparse.Namespace) -> None:
    from core.project.project import Project
    from core.questions.ask import AskOptions, ask, resume
    from core.worker import Worker

    given = {
        name: getattr(options, name)
        for name in ("kinds", "per_passage", "limit", "language", "seed")
        if getattr(options, name) is not None
    }
    if options.resume and given:
        raise UserError(f"A resumed run goes on as it was begun: leave out --{next(iter(given)).replace('_', '-')}.")
    with _opened(Project, options.project) as project, Worker() as worker, _interruptible(worker) as stopped:
        if options.resume:
            items = resume(project, worker, options.model, stopped)
        else:
            if unfinished := project.last_unfinished_run("ask"):
                _say(f"Run {unfinished.id} did not finish; --resume goes on with it. This is a new run.")
            chosen = AskOptions(model=options.model or paths.starter_model(), **given)
            items = ask(project, worker, chosen, stopped)
        _show_run(items)


def _show_run(items: Iterable[Any]) -> None:
    """Tells what a run does, as it does it."""
    from core.engine.requests import Loaded, Loading
    from core.project.records import Discard
    from core.questions.ask import Progress
    from core.retrying import Restarted

    progress, last = _Progress("Asking"), None
    for item in items:
        if isinstance(item, Loading):
            progress.show(f"loading the model, {item.fraction:.0%}")
        elif isinstance(item, Loaded):
            progress.end(f"Asking with {item.name} on {item.device}, {item.sequences} at a time. {item.note}".rstrip())
        elif isinstance(item, Discard):
            progress.end(f"Passage {item.passage_id} gave no {item.kind} question: {item.reason}")
        elif isinstance(item, Restarted):
            progress.end(f"{item.reason} The work goes on in a fresh one.")
        elif isinstance(item, Progress):
            last = item
            speed = f"{item.usage.tokens_per_second:.0f} tokens/s"
            progress.show(f"{item.done} of {item.total}, {item.made} questions, {speed}")
    if last:
        usage = last.usage
        progress.end(
            f"{last.made} questions from {last.done} of {last.total} tries; {usage.generated_tokens} tokens made, "
            f"{usage.prompt_tokens} read of which {usage.cached_tokens} from the cache, "
            f"{usage.tokens_per_second:.0f} tokens/s."
        )


def _show(options: argparse.Namespace) -> None:
    from core.exchange.formats import as_json
    from core.project.project import Project
    from core.project.records import ExampleFilter

    with _opened(Project, options.project, read_only=True) as project:
        count = 0
        for example in project.iter_examples(ExampleFilter(state=options.state)):
            count += 1
            if options.json:
                _print_json(as_json(example))
                continue
            failed = ", ".join(check.name for check in example.checks if not check.passed)
            where = f"{example.document}, page {example.evidence.page}" if example.evidence else example.document
            print(f"{example.id}  {example.state}  {example.kind}  {where}{'  failed: ' + failed if failed else ''}")
            print(f"    {example.question}")
            for choice in example.choices:
                print(f"      - {choice}")
            print(f"    → {example.answer}")
        if not count:
            _say("There are no such examples yet. elenchus ask makes some.")


def _review(options: argparse.Namespace) -> None:
    from core.project.project import Project

    with _opened(Project, options.project) as project:
        project.set_state(options.ids, options.state)
    _say(f"{len(options.ids)} examples are {options.state}.")


def _export(options: argparse.Namespace) -> None:
    from core.exchange.export import export
    from core.project.project import Project

    with _opened(Project, options.project) as project:
        progress, done = _Progress("Exporting"), None
        for done in export(project, options.out, options.format, options.state, options.plain):
            progress.show(f"{done.rows} of {done.total}")
        if done:
            progress.end(f"Wrote {done.rows} examples to {done.path} and a dataset card to {done.card}.")
        if done and done.quarantined:
            _say(f"{done.quarantined} were quarantined: their evidence was not found at its place in the document.")


def _devices(options: argparse.Namespace) -> None:
    from core.engine.fit import size

    for device in _found_devices():
        if options.json:
            _print_json(asdict(device))
            continue
        kind = f"{device.cores} cores" if device.kind == "cpu" else f"{device.backend}, {device.kind}"
        free = f"{size(device.memory_free)} of {size(device.memory_total)} free"
        print(f"{device.name}  {device.description}  {kind}, {free}")


def _found_devices() -> "list[Device]":
    from core.engine.devices import devices_job, processor
    from core.worker import Worker

    try:
        with Worker() as worker:
            return next(worker.run(devices_job))
    except UserError as error:  # a driver may end the process that asks it
        _say(f"The graphics card could not be asked, and is left out. {error}")
        return [processor()]


def _models(options: argparse.Namespace) -> None:
    from core.models.recommended import recommended
    from core.models.shelf import models_folder, shelf

    if options.recommended:
        for known in recommended():
            if options.json:
                _print_json(asdict(known) | {"fits": _fits(known)})
            else:
                print(f"{known.name}  {known.size / 1e6:,.0f} MB  {known.licence}  {_fit_words(known)}")
                print(f"    {known.good_for}\n    elenchus download {known.source}")
        return
    if not options.json:
        _say(f"The starter, what lies in {models_folder()}, and what other programs have:")
    found = _found_devices()
    for item in shelf():
        if item.model is None:
            _say(item.problem)
        else:
            _show_model(item.model, item.program, found, options.json)


def _show_model(model: "ModelFile", program: str, found: "list[Device]", as_json: bool) -> None:
    from core.engine import fit
    from core.engine.requests import EngineSettings

    told = fit.fit(model, found, EngineSettings())
    if as_json:
        fields = ("name", "architecture", "quantisation", "parameters", "size", "context_length", "prompt_style")
        facts = {name: getattr(model, name) for name in fields}
        _print_json(facts | {"path": str(model.path), "program": program, "fit": asdict(told)})
    else:
        size = f"{model.parameters / 1e6:,.0f} M parameters, {model.size / 1e6:,.0f} MB"
        print(f"{model.name}  {model.architecture}  {model.quantisation}  {size}  {program}")
        print(f"    {model.path}\n    {fit.words(told)}")


def _fits(model: "Recommended") -> bool:
    """Whether this computer's memory holds it with the cache that a run asks for first."""
    import psutil

    from core.engine.requests import TOKENS_A_SEQUENCE, EngineSettings

    return model.memory(EngineSettings().sequences * TOKENS_A_SEQUENCE) <= psutil.virtual_memory().total


def _fit_words(model: "Recommended") -> str:
    return "fits this computer" if _fits(model) else "needs more memory than this computer has"


def _download(options: argparse.Namespace) -> None:
    from core.models.download import Downloading, download
    from core.models.shelf import OWN

    progress = _Progress("Downloading")
    with _interruptible() as stopped:
        try:
            for item in download(options.source, options.sha256, stopped):
                if not isinstance(item, Downloading):
                    progress.end(f"“{item.name}” is with the other models now.")
                    _show_model(item, OWN, _found_devices(), options.json)
                elif item.waiting:
                    progress.show(f"{item.name}, trying again: {item.waiting}")
                else:
                    what = "checking" if item.checking else f"{item.bytes_per_second / 1e6:,.1f} MB/s"
                    of = f" of {item.total / 1e6:,.0f}" if item.total else ""
                    progress.show(f"{item.name}, {item.done / 1e6:,.0f}{of} MB, {what}")
        except Cancelled:
            progress.end("Stopped. The same command goes on where it stopped.")
            raise


def _chat(options: argparse.Namespace) -> int:
    from core.chat_command import chat

    return chat(options, _Progress("Loading the model"))


@contextmanager
def _opened(project_class: Any, path: Path, read_only: bool = False) -> Iterator[Any]:
    """The project, opened; says so when it could only be opened for reading."""
    with project_class.open(path, read_only=read_only) as project:
        if project.notice and not read_only:
            _say(project.notice)
        yield project


@contextmanager
def _interruptible(worker: Any = None) -> Iterator[Callable[[], bool]]:
    """Ctrl+C, or a polite end from outside, cancels the job, lets what is finished be kept, and exits with 130.

    Gives a function that says whether that has happened.
    """
    received: list[int] = []

    def cancel(number: int, frame: object) -> None:
        received.append(number)
        if worker is not None:
            worker.cancel()

    signals = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(number, cancel) for number in signals]
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


class _Progress:
    """One line on stderr that changes in place; where stderr is no terminal, a line every few seconds."""

    def __init__(self, title: str) -> None:
        self._title, self._live, self._width = title, sys.stderr.isatty(), 0
        self._last = time.monotonic()

    def show(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last < (0.1 if self._live else 10.0):
            return
        self._last = now
        line = f"{self._title}: {text}"
        if self._live:
            print(f"\r{line:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(line)
        else:
            _say(line)

    def show_page(self, done: int, total: int) -> None:
        self.show(f"page {done} of {total}")

    def end(self, text: str = "") -> None:
        if self._live and self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0
        if text:
            _say(text)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
