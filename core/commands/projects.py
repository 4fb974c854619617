"""The commands that work on a project: from PDFs to examples, their review and their export."""

import argparse
from collections.abc import Iterable
from typing import Any

from core import paths
from core.commands.console import ProgressLine, counted, followed, interruptible, opened, print_json, say
from core.errors import Cancelled, UserError


def new(options: argparse.Namespace) -> None:
    from core.project.project import Project

    Project.create(options.project).close()
    say(f"Made {options.project}. Next: elenchus add {options.project} PDF…")


def add(options: argparse.Namespace) -> int:
    from core.project.importing import add_pdf
    from core.project.project import Project
    from core.worker import Worker

    failed = 0
    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        for pdf in options.pdfs:
            progress = ProgressLine(f"Reading {pdf.name}")
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
                say(f"  {warning}")
    return 1 if failed else 0


def text(options: argparse.Namespace) -> None:
    from core.documents.reader import read_document, read_page
    from core.worker import Worker

    progress = ProgressLine(f"Reading {options.pdf.name}")
    with Worker() as worker, interruptible(worker) as stopped:
        if options.page is not None:
            pages = (read_page(worker, options.pdf, options.page, options.password),)
        else:
            document = read_document(worker, options.pdf, options.password, progress.show_page, stopped)
            pages = document.pages
            for warning in document.warnings:
                say(warning)
    progress.end()
    for page in pages:
        if options.json:
            print_json({"page": page.number, "label": page.label, "text": page.text, "warnings": list(page.warnings)})
            continue
        print(f"--- page {page.label} ---\n{page.text}\n")
        for warning in page.warnings:
            say(f"Page {page.label}: {warning}")


def ask(options: argparse.Namespace) -> None:
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
    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        if options.resume:
            items = resume(project, worker, options.model, stopped)
        else:
            if unfinished := project.last_unfinished_run("ask"):
                say(f"Run {unfinished.id} did not finish; --resume goes on with it. This is a new run.")
            chosen = AskOptions(model=options.model or paths.starter_model(), **given)
            items = ask(project, worker, chosen, stopped)
        _show_run(items)


def _show_run(items: Iterable[Any]) -> None:
    """Tells what a run does, as it does it."""
    from core.engine.requests import Loaded, Loading
    from core.project.records import Discard
    from core.questions.ask import Progress
    from core.retrying import Restarted

    progress, last = ProgressLine("Asking"), None
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


def show(options: argparse.Namespace) -> None:
    from core.exchange.formats import as_json
    from core.project.project import Project
    from core.project.records import ExampleFilter

    with opened(Project, options.project, read_only=True) as project:
        count = 0
        for example in project.iter_examples(ExampleFilter(state=options.state)):
            count += 1
            if options.json:
                print_json(as_json(example))
                continue
            failed = ", ".join(check.name for check in example.checks if not check.passed)
            where = example.document or f"of run {example.run_id}"
            where += f", page {example.evidence.page}" if example.evidence else ""
            print(f"{example.id}  {example.state}  {example.kind}  {where}{'  failed: ' + failed if failed else ''}")
            for role, said in example.context:
                _print_indented(f"    {role}: ", said)
            _print_indented("    ", example.question)
            for choice in example.choices:
                _print_indented("      - ", choice)
            _print_indented("    → ", example.answer)
            for number, step in enumerate(example.rationale, 1):
                _print_indented(f"      {number}. ", step.text)
                cited = f"p. {step.cited.page}: “{step.cited.text}”" if step.cited else "(inference)"
                _print_indented("         ", cited)
        if not count:
            say("There are no such examples yet. elenchus ask makes some.")


def _print_indented(first: str, text: str) -> None:
    """The text after what its first line begins with; the lines below stay indented as far as that is."""
    indent = len(first) - len(first.lstrip())
    print(first + text.replace("\n", "\n" + " " * indent))


def review(options: argparse.Namespace) -> None:
    from core.project.project import Project

    with opened(Project, options.project) as project:
        if options.rate is None:
            project.set_state(options.ids, options.state)
        else:
            project.rate_all(options.ids, options.rate or None)
    now = options.state or (f"rated {options.rate} of 5" if options.rate else "without stars")
    say(f"{counted(len(set(options.ids)), 'example is', 'examples are')} {now}.")


def undo(options: argparse.Namespace) -> None:
    """`elenchus undo`: takes the last action back, in the window or here, or does it again; says what that was."""
    from core.project.project import Project

    with opened(Project, options.project) as project:
        label = project.redo() if options.redo else project.undo()
    if label is None:
        say(f"There is nothing to {'redo' if options.redo else 'undo'}.")
    else:
        say(f"{'Done again' if options.redo else 'Undone'}: {label}.")


def similar(options: argparse.Namespace) -> None:
    """`elenchus similar`: what is nearest to a text by the cosine of the model's vectors, which the project keeps."""
    from core.project.embedding import embed
    from core.project.project import Project
    from core.worker import Worker

    model = options.model or paths.starter_model()
    with opened(Project, options.project) as project, Worker() as worker, interruptible(worker) as stopped:
        if options.of == "passages":
            rows = [(passage.id, passage.text) for passage in project.passages()]
        else:
            rows = [(one.id, f"{one.question} {one.answer}") for one in project.iter_examples()]
        progress = ProgressLine("Making vectors")
        steps = embed(project, worker, model, [text for _, text in rows] + [options.text], stopped)
        *vectors, wanted = followed(steps, progress)
        found = sorted(((float(row @ wanted), *text) for row, text in zip(vectors, rows, strict=True)), reverse=True)
    if not found:
        say(f"The project has no {options.of} yet.")
    for likeness, id, text in found[: options.top]:
        if options.json:
            print_json({"id": id, "similarity": likeness, "text": text})
        else:
            print(f"{likeness:.3f}  {id}  {' '.join(text.split())}")
