"""The command line: `elenchus …` does without a window what the window does. Data on stdout, progress on stderr."""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

import core
from core.commands import curation, datasets, exchange, models, picking, probes, projects, rationales, suites, tuning
from core.commands.console import Stopped, say
from core.errors import Cancelled, JobFailed, UserError
from core.project.records import KINDS, STATES
from core.tuning.records import DEVICES, DTYPES, OBJECTIVES, OVERLONG

N = TypeVar("N", int, float)

CANCELLED = 130
COMMANDS = (
    *("new", "add", "text", "ask", "show", "review", "undo", "export", "similar"),
    *("rationales", "score", "calibration", "passages", "duplicates", "curate", "picks"),
    *("dataset", "datasets", "import"),
    *("suites", "probe", "probes", "compare", "counter"),
    *("tune", "adapters", "merge", "parity"),
    *("models", "download", "devices", "chat"),
)
SUITES_EXAMPLE = (
    "example: elenchus suites lab.elenchus --import quiz.csv --protocol sure "
    '--map question=Item right=Key options="Answer one" options="Answer two"'
)
IMPORT_EXAMPLE = "example: elenchus import lab.elenchus quiz.csv --map question=Item,answer=Key --dry-run"
FORMATS = (
    *("alpaca", "sharegpt", "messages", "completion", "two-task", "dpo", "dpo-messages"),
    *("csv", "parquet", "folder"),
)
SHAPES = FORMATS[:-3]
SPLITS = ("train", "validation", "test")
TOOLS = ("llama-factory", "axolotl")
READERS = (
    datasets.datasets,
    projects.text,
    projects.show,
    suites.suites,
    probes.probes,
    probes.compare,
    models.models,
    models.devices,
    tuning.adapters,
    tuning.parity,
    curation.calibration,
    picking.picks,
)


def main(arguments: list[str] | None = None, open_window: Callable[[Path | None], int] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 1 for a user's error, 2 for usage, 130 when cancelled.

    `open_window` opens the window on a project, and is given by who has one: `core` knows none.
    """
    multiprocessing.freeze_support()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
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
    except (Cancelled, KeyboardInterrupt) as cancelled:
        say("Cancelled. What was finished is kept.")
        if isinstance(cancelled, Stopped):
            say(str(cancelled))
        return CANCELLED
    except UserError as error:
        say(str(error))
        return 1
    except JobFailed as error:
        say(f"{error.details}\nThis is a bug in Elenchus; what was finished is kept. Please report the lines above.")
        return 1
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough; keep Python from complaining about it at exit.
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 0 if options.run in READERS else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="elenchus",
        description="From PDFs to questions with verbatim evidence, on a local model, in one project file.",
        epilog="elenchus [PROJECT] opens the window.",
    )
    parser.add_argument("--version", action="version", version=f"Elenchus {core.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, help: str, project: bool = True, epilog: str = "") -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help, epilog=epilog)
        sub.set_defaults(run=run)
        if project:
            sub.add_argument("project", type=Path, metavar="PROJECT", help="a .elenchus file")
        return sub

    sub = command("open", _open, "open the window", project=False)
    sub.add_argument("project", type=Path, nargs="?", metavar="PROJECT")

    command("new", projects.new, "make an empty project")

    sub = command("add", projects.add, "read PDFs into a project")
    sub.add_argument("pdfs", type=Path, nargs="+", metavar="PDF")
    sub.add_argument("--password", help="opens the PDFs that are encrypted")
    sub.add_argument("--passage-size", type=_number(1, 1_000_000), default=1200, help="characters (default 1200)")
    sub.add_argument("--overlap", type=_number(0, 1_000_000), default=200, help="characters (default 200)")

    sub = command("text", projects.text, "print the text of a PDF, a page at a time", project=False)
    sub.add_argument("pdf", type=Path, metavar="PDF")
    sub.add_argument("--page", type=_number(1, 10**9), help="only this page, counting from 1")
    sub.add_argument("--password")
    sub.add_argument("--json", action="store_true", help="a JSON object a page")

    sub = command("ask", projects.ask, "make questions from the project's passages")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the starter model, for trying the app")
    sub.add_argument("--per-passage", type=_number(1, 100), help="questions (default 2)")
    sub.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    sub.add_argument("--limit", type=_number(1, 10**9), help="at most this many questions")
    sub.add_argument("--language", help="of the questions, in English words; default: the passage's")
    sub.add_argument("--seed", type=_number(0, 2**62), help="default 0: equal seeds give equal questions")
    sub.add_argument("--resume", action="store_true", help="go on with the run that did not finish, as it was begun")

    sub = command("show", projects.show, "print the examples")
    sub.add_argument("--state", choices=STATES)
    sub.add_argument("--json", action="store_true", help="a JSON object an example")

    sub = command("review", projects.review, "accept, reject or rate examples")
    sub.add_argument("ids", type=_number(1, 2**62), nargs="+", metavar="ID")
    verdict = sub.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--accept", dest="state", action="store_const", const="accepted")
    verdict.add_argument("--reject", dest="state", action="store_const", const="rejected")
    verdict.add_argument("--rate", type=_number(0, 5), metavar="STARS", help="1 to 5; 0 takes the stars away")

    sub = command("undo", projects.undo, "take back what was done last to the examples")
    sub.add_argument("--redo", action="store_true", help="do again what was taken back last")

    sub = command("export", exchange.export, "write a training set and its dataset card")
    sub.add_argument("--format", required=True, choices=FORMATS)
    sub.add_argument("--out", type=Path, required=True, metavar="FILE|FOLDER")
    sub.add_argument("--state", choices=STATES, default="accepted")
    number = _number(1, 2**62)
    sub.add_argument("--run", dest="of_run", type=number, metavar="N", help="only of this run, with what it mixes in")
    sub.add_argument("--dataset", metavar="NAME", help="the rows of a dataset, whatever became of the examples")
    sub.add_argument("--split", choices=SPLITS, help="only this side of the dataset")
    sub.add_argument("--pick", metavar="NAME|N", help="what a pick chose")
    shapes = "what rows of parquet and folder look like (default messages)"
    sub.add_argument("--shape", choices=SHAPES, default="messages", help=shapes)
    sub.add_argument("--plain", action="store_true", help="leave out the provenance of each line")
    sub.add_argument(
        "--formulas", action="store_true", help="leave formulas in CSV as they are: a spreadsheet runs them"
    )
    beside = "write how to train on it beside it: llama-factory or axolotl; repeatable"
    sub.add_argument("--config", action="append", choices=TOOLS, default=[], help=beside)
    sub.add_argument("--json", action="store_true", help="one JSON object")

    help = "bring in the rows of a file as examples: JSON lines, JSON, CSV, TSV or Parquet"
    sub = command("import", exchange.bring_in, help, epilog=IMPORT_EXAMPLE)
    sub.add_argument("file", type=Path, nargs="?", metavar="FILE")
    what = "which column is what; default: as the file seems to be"
    sub.add_argument("--map", metavar="FIELD=COLUMN,…", help=what)
    sub.add_argument("--state", choices=("draft", "accepted"), default="draft", help="of the examples (default draft)")
    sub.add_argument("--skip-bad", action="store_true", help="leave out the rows that cannot be used")
    sub.add_argument("--dry-run", action="store_true", help="say what would become of it, and import nothing")
    sub.add_argument("--again", action="store_true", help="though the same file was imported already")
    sub.add_argument("--take-back", type=number, metavar="RUN", help="reject all that this import brought in")
    sub.add_argument("--json", action="store_true", help="one JSON object, or one for each row of a dry run")

    sub = command("datasets", datasets.datasets, "list the datasets of a project")
    sub.add_argument("--json", action="store_true", help="a JSON object a dataset")

    _dataset(command("dataset", datasets.dataset, "freeze, show, compare, rename or remove a dataset"))

    sub = command("similar", projects.similar, "print the passages, or examples, that are nearest in meaning to a text")
    sub.add_argument("text", metavar="TEXT")
    sub.add_argument("--of", choices=("passages", "examples"), default="passages")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="best one made for embeddings; default: the starter")
    sub.add_argument("--top", type=_number(1, 10**6), default=5, help="how many (default 5)")
    sub.add_argument("--json", action="store_true", help="a JSON object each")

    help = "draft the steps that lead to answers, and check them"
    sub = command("rationales", rationales.rationales, help)
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the starter model, for trying the app")
    sub.add_argument("--examples", type=number, nargs="+", metavar="ID", help="default: all accepted without steps")
    sub.add_argument("--candidates", type=_number(1, 20), help="of which the best is taken (default 2)")
    sub.add_argument("--steps", type=_number(1, 20), help="at most (default 5)")
    anew = "write the steps of --examples anew after it; kept as drafts, which --take takes"
    sub.add_argument("--instruction", metavar="TEXT", help=anew)
    sub.add_argument("--language", help="of the steps, in English words; default: the passage's")
    sub.add_argument("--limit", type=_number(1, 10**9), help="at most this many questions")
    sub.add_argument("--seed", type=_number(0, 2**62), help="default 0: equal seeds give equal steps")
    how = sub.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="check the steps that there are, and draft none")
    how.add_argument("--unchecked", action="store_true", help="draft without checking")
    how.add_argument("--take", type=number, metavar="RUN", help="give the examples what this run drafted anew")
    sub.add_argument("--resume", action="store_true", help="go on with the run that did not finish, as it was begun")
    sub.add_argument("--json", action="store_true", help="a JSON object a draft, or a check")

    sub = command("score", curation.score, "check examples by rules, and have a model judge them from 1 to 5")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="the judge: a model that follows instructions")
    sub.add_argument("--adapter", metavar="NAME|GGUF", help="a LoRA that is added: the project's, or a file")
    sub.add_argument("--scale", type=_number(0.0, 10.0), help="of the adapter (default 1, or as the project says)")
    sub.add_argument("--examples", type=number, nargs="+", metavar="ID", help="default: all drafts and accepted ones")
    sub.add_argument("--rules-only", action="store_true", help="check by the rules, which need no model")
    keep = "accept the drafts that scored so much and reject those that scored less; 4.5 was published"
    sub.add_argument("--keep", type=_number(1.0, 5.0), metavar="SCORE", help=keep)
    compared = "how the second run scored the examples of the first: before and after tuning"
    sub.add_argument("--compare", type=number, nargs=2, metavar="RUN", help=compared)
    sub.add_argument("--resume", action="store_true", help="go on with the run that did not finish, as it was begun")
    sub.add_argument("--json", action="store_true", help="a JSON object an example, a rule or a comparison")

    sub = command(
        "calibration", curation.calibration, "compare a model's scores with your ratings of the same examples"
    )
    sub.add_argument("--run", dest="of_run", type=number, metavar="N", help="of this run; default: each newest score")
    sub.add_argument("--json", action="store_true", help="one JSON object")

    sub = command("passages", curation.passages, "learn from your labels which passages are worth asking about")
    sub.add_argument("--worth", type=number, nargs="+", default=[], metavar="ID", help="label these as worth it")
    sub.add_argument(
        "--not-worth", type=number, nargs="+", default=[], metavar="ID", help="label these as not worth it"
    )
    sub.add_argument("--unlabel", type=number, nargs="+", default=[], metavar="ID", help="take their labels away")
    sub.add_argument("--suggest", type=_number(1, 1000), metavar="N", help="passages to label next")
    sub.add_argument("--fit", action="store_true", help="learn from the labels; shows what each threshold does")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="best one made for embeddings; default: the starter")
    sub.add_argument("--set-aside", type=_number(0.0, 1.0), metavar="THRESHOLD", help="ask nothing of those below it")
    sub.add_argument("--restore", action="store_true", help="take back all that was set aside")
    sub.add_argument("--list", action="store_true", help="all passages with what is known of their worth")
    sub.add_argument("--json", action="store_true", help="a JSON object a passage, or a threshold")

    sub = command("duplicates", picking.duplicates, "group the examples that ask the same, nearly or in meaning")
    sub.add_argument("--near", type=_number(0.01, 1.0), default=0.8, help="share of 3-word shingles (default 0.8)")
    what = "compare meanings too, by the vectors of this model; best one made for embeddings"
    sub.add_argument("--model", type=Path, metavar="GGUF", help=what)
    sub.add_argument("--semantic", type=_number(-1.0, 1.0), default=0.95, help="cosine of meanings (default 0.95)")
    sub.add_argument("--keep-best", action="store_true", help="reject all but the best of each group")
    held_out = "say which examples stand in this held-out file, or in a dataset's rows that are not trained on"
    sub.add_argument("--against", metavar="FILE|DATASET", help=held_out)
    what = "which column of that file is what, as for import; the question is enough"
    sub.add_argument("--map", metavar="FIELD=COLUMN,…", help=what)
    sub.add_argument("--json", action="store_true", help="a JSON object a group, or a match")

    sub = command("curate", picking.curate, "pick the N examples that are good and stand for all the others")
    sub.add_argument("--pick", type=_number(1, 10**6), required=True, metavar="N", help="examples")
    sub.add_argument("--method", choices=("facility", "k-centre"), default="facility", help="default facility")
    weight = "0 looks at coverage alone, 1 at quality alone (default 0.5)"
    sub.add_argument("--quality", type=_number(0.0, 1.0), default=0.5, metavar="WEIGHT", help=weight)
    most = "no document, topic or kind may be more of it: document=0.3; repeatable"
    sub.add_argument("--quota", action="append", default=[], metavar="BY=SHARE", help=most)
    sub.add_argument("--model", type=Path, metavar="GGUF", help="best one made for embeddings; default: the starter")
    sub.add_argument("--state", choices=STATES, default="accepted")
    sub.add_argument("--with-failed", action="store_true", help="also those of which a check failed")
    sub.add_argument("--seed", type=_number(0, 2**62), default=0, help="default 0: equal seeds pick the same")
    sub.add_argument("--name", help="of the pick")
    sub.add_argument("--explain", action="store_true", help="say why each was picked")
    sub.add_argument("--json", action="store_true", help="one JSON object")

    sub = command("picks", picking.picks, "list the picks; show or remove one")
    change = sub.add_mutually_exclusive_group()
    change.add_argument("--show", metavar="NAME", help="its rows, and why each was picked")
    change.add_argument("--remove", metavar="NAME", help="forget it; its examples stay")
    sub.add_argument("--json", action="store_true", help="a JSON object a pick")

    help = "list the probe suites, or import one from a file"
    sub = command("suites", suites.suites, help, project=False, epilog=SUITES_EXAMPLE)
    sub.add_argument("project", type=Path, nargs="?", metavar="PROJECT", help="a .elenchus file; default: none")
    change = sub.add_mutually_exclusive_group()
    change.add_argument("--import", dest="file", type=Path, metavar="FILE", help="CSV, TSV, JSON or JSON lines")
    change.add_argument("--remove", metavar="NAME", help="forget an imported suite; its runs are kept")
    sub.add_argument("--name", help="of the imported suite; default: the file's")
    sub.add_argument("--protocol", help="claims, branches, sure, turns or preference; default: as the file is known")
    roles = "question, options, right, wrong, matching, id, stem or domain"
    what = f"what a column is: {roles}; options and wrong may be given several times, a column each"
    sub.add_argument("--map", action="extend", nargs="+", default=[], metavar="ROLE=COLUMN", help=what)
    sub.add_argument("--skip-bad", action="store_true", help="leave out the rows that cannot be used")
    sub.add_argument("--json", action="store_true", help="a JSON object a suite")

    sub = command("probe", probes.probe, "ask a model suites of probes, and show how it yields")
    sub.add_argument("--suite", nargs="+", metavar="NAME", help="elenchus suites lists them")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the starter, which yields by design")
    sub.add_argument("--adapter", metavar="NAME|GGUF", help="a LoRA that is added: the project's, or a file")
    sub.add_argument("--scale", type=_number(0.0, 10.0), help="of the adapter (default 1, or as the project says)")
    sub.add_argument("--items", type=_number(1, 20_000), help="of each suite (default 200)")
    sub.add_argument("--seed", type=_number(0, 2**62), help="default 0: equal seeds ask the very same")
    sub.add_argument("--language", choices=("en", "tr"), help="of what is asked (default en)")
    how = "by probability, by a letter that is generated, or read out of free text (default score)"
    sub.add_argument("--method", choices=("score", "grammar", "free"), help=how)
    published = "four branches as SycoBench-600 was published"
    sub.add_argument("--as-published", action="store_const", const=True, help=published)
    sub.add_argument("--resume", action="store_true", help="go on with the run that did not finish, as it was begun")
    sub.add_argument("--json", action="store_true", help="a JSON object a run, with every figure")

    among = "sycophancy by who the user is, or what the claims are about, too"
    sub = command("probes", probes.probes, "list the runs of probes and what they show")
    sub.add_argument("--run", dest="of_run", type=number, metavar="N", help="every figure of this one")
    sub.add_argument("--all", action="store_true", help=among)
    sub.add_argument("--json", action="store_true", help="a JSON object a run, with every figure")

    sub = command("compare", probes.compare, "compare two runs of the same probes, item by item")
    sub.add_argument("before", type=number, metavar="RUN", help="what to compare with; says what is known")
    sub.add_argument("after", type=number, metavar="RUN")
    sub.add_argument("--all", action="store_true", help=among)
    sub.add_argument("--json", action="store_true", help="one JSON object")

    sub = command("counter", probes.counter, "make training examples that counter what a run has shown")
    sub.add_argument("--from", dest="of_run", type=number, required=True, metavar="RUN")
    sub.add_argument("--size", type=_number(1, 10**5), default=200, help="examples (default 200)")
    sub.add_argument("--ratio", type=_number(0.01, 1000.0), default=5.0, help="to one ordinary example (default 5)")
    sub.add_argument("--control", action="store_true", help="a neutral control set of the same size as well")
    sub.add_argument("--seed", type=_number(0, 2**62), default=0, help="default 0")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="where the model of the run is now, if it has moved")
    sub.add_argument("--json", action="store_true", help="a JSON object a set")

    sub = command("tune", tuning.tune, "train a LoRA adapter on the packed weights of a model")
    sub.add_argument("--dataset", metavar="D", help="accepted, run:N, the name of a dataset, or a file of examples")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the starter model, for trying the app")
    sub.add_argument("--objective", choices=OBJECTIVES, help="default sft: learn the answers")
    sub.add_argument("--rank", type=_number(1, 1024), help="of the adapter (default 16)")
    sub.add_argument("--alpha", type=_number(0.001, 1e6), help="it counts alpha/rank (default 32)")
    rate = "learning rate (default 2e-4, for dpo 5e-6)"
    sub.add_argument("--lr", dest="learning_rate", type=_number(1e-12, 1.0), metavar="RATE", help=rate)
    sub.add_argument("--epochs", type=_number(0.001, 10_000.0), help="default 3")
    sub.add_argument("--batch", type=_number(1, 4096), help="examples a step (default 8)")
    sub.add_argument("--context", type=_number(8, 1_000_000), help="tokens of the longest example (default 1024)")
    sub.add_argument("--overlong", choices=OVERLONG, help="what becomes of longer ones (default drop)")
    sub.add_argument("--seed", type=_number(0, 2**62), help="default 0: equal seeds give equal adapters on a processor")
    sub.add_argument("--held-out", type=_number(0.0, 0.9), metavar="SHARE", help="not trained on (default 0.1)")
    sub.add_argument("--evaluations", type=_number(0, 1000), help="looks at the held-out loss an epoch (default 4)")
    sub.add_argument(
        "--patience",
        type=_number(0, 1000),
        help="looks without a better loss after which it ends (default 3; 0: never)",
    )
    sub.add_argument("--rslora", dest="rank_stabilised", action="store_const", const=True, help="count alpha/√rank")
    sub.add_argument("--dropout", type=_number(0.0, 0.99), help="of the adapter's input (default 0)")
    sub.add_argument(
        "--warmup", type=_number(0.0, 1.0), help="share of the steps in which the rate rises (default 0.06)"
    )
    sub.add_argument("--weight-decay", type=_number(0.0, 100.0), help="default 0")
    sub.add_argument("--clip", type=_number(0.0, 1e6), help="longest gradient (default 1; 0: any)")
    sub.add_argument("--noise", type=_number(0.0, 1000.0), help="NEFTune's alpha (default 0)")
    sub.add_argument("--rationale-weight", type=_number(0.0, 100.0), help="of two-task (default 0.5)")
    sub.add_argument("--beta", type=_number(0.0001, 100.0), help="of dpo (default 0.1)")
    sub.add_argument("--no-packing", dest="packing", action="store_const", const=False, help="an example a pass")
    sub.add_argument("--device", choices=DEVICES, help="default auto")
    sub.add_argument("--dtype", choices=DTYPES, help="default auto: what is faster here")
    sub.add_argument("--threads", type=_number(1, 1024), help="default: the processor's cores")
    sub.add_argument(
        "--prompt", action="append", metavar="TEXT", help="is answered before, during and after; repeatable"
    )
    sub.add_argument("--name", help="of the adapter; default: after the dataset and the run")
    sub.add_argument("--skip-bad", action="store_true", help="leave out the rows of a file that cannot be used")
    sub.add_argument("--estimate", action="store_true", help="say what it would take, and train nothing")
    sub.add_argument("--resume", action="store_true", help="go on with the run that did not finish, as it was begun")
    sub.add_argument("--json", action="store_true", help="a JSON object for the adapter, or the estimate")

    sub = command("adapters", tuning.adapters, "list the adapters of a project; export, rename or remove one")
    change = sub.add_mutually_exclusive_group()
    change.add_argument("--export", metavar="NAME", help="with --out or --peft")
    change.add_argument("--rename", nargs=2, metavar=("NAME", "NEW"))
    change.add_argument("--remove", metavar="NAME")
    target = sub.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, metavar="FILE", help="as GGUF, for llama.cpp and what is built on it")
    target.add_argument("--peft", type=Path, metavar="FOLDER", help="as safetensors, for PEFT and transformers")
    sub.add_argument("--json", action="store_true", help="a JSON object an adapter")

    sub = command("merge", tuning.merge, "add an adapter to its model for good, as a new GGUF")
    sub.add_argument("adapter", metavar="ADAPTER", help="its name in the project")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE")
    sub.add_argument("--type", metavar="TYPE", help="such as Q4_K_M; default: the types that the model has")
    sub.add_argument("--scale", type=_number(0.0, 10.0), help="default: as the project says")
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the one it was trained on")
    sub.add_argument("--json", action="store_true", help="one JSON object")

    help = "compare torch with llama.cpp on a model: the gate before every training"
    sub = command("parity", tuning.parity, help, project=False)
    sub.add_argument("models", type=Path, nargs="+", metavar="GGUF")
    sub.add_argument(
        "--text", type=Path, metavar="FILE", help="of which 64 tokens are compared; default: a text of our own"
    )
    sub.add_argument("--json", action="store_true", help="a JSON object a model")

    sub = command("models", models.models, "list the models at hand, and how they fit this computer", project=False)
    sub.add_argument("--recommended", action="store_true", help="those that can be downloaded, and whether they fit")
    sub.add_argument("--json", action="store_true", help="a JSON object a model")

    sub = command(
        "download", models.download, "download a model: the one command that opens a connection", project=False
    )
    sub.add_argument("source", metavar="SOURCE", help="owner/name/file.gguf of Hugging Face, @revision, or an address")
    sub.add_argument("--sha256", metavar="HEX", default="", help="what the file's checksum must be")
    sub.add_argument("--json", action="store_true", help="a JSON object for the model")

    sub = command("devices", models.devices, "list what models can run on", project=False)
    sub.add_argument("--json", action="store_true", help="a JSON object a device")

    sub = command("chat", _chat, "talk with a model: a question a line", project=False)
    sub.add_argument("--model", type=Path, metavar="GGUF", help="default: the starter model, which knows no chat")
    sub.add_argument("--system", default="", metavar="TEXT", help="tells the model how to answer")
    sub.add_argument("--adapter", metavar="NAME|GGUF", help="a LoRA that is added: a project's, or a file")
    sub.add_argument("--project", type=Path, metavar="PROJECT", help="whose adapter --adapter names")
    sub.add_argument("--scale", type=_number(0.0, 10.0), help="of the adapter (default 1, or as the project says)")
    sub.add_argument("--temperature", type=_number(0.0, 10.0), help="0: always the likeliest word (default 0.7)")
    sub.add_argument("--top-k", type=_number(0, 10**6), help="0: all (default 40)")
    sub.add_argument("--top-p", type=_number(0.0, 1.0), help="default 0.95")
    sub.add_argument("--min-p", type=_number(0.0, 1.0), help="default 0.05")
    sub.add_argument("--repeat-penalty", type=_number(0.1, 10.0), help="default 1: none")
    sub.add_argument("--max-tokens", type=_number(1, 10**6), default=512, help="of an answer (default 512)")
    sub.add_argument("--seed", type=_number(0, 2**62), help="default: another one for each answer")
    sub.add_argument("--json", action="store_true", help="a JSON object an answer, when it is whole")
    return parser


def _dataset(command: argparse.ArgumentParser) -> None:
    works = command.add_subparsers(dest="work", metavar="freeze|show|diff|rename|remove", required=True)

    def work(name: str, help: str, *names: str) -> argparse.ArgumentParser:
        sub = works.add_parser(name, help=help, description=help)
        for one in names:
            sub.add_argument(one, metavar=one.upper())
        if name in ("freeze", "show", "diff"):
            sub.add_argument("--json", action="store_true", help="one JSON object")
        return sub

    sub = work("freeze", "keep rows that never change, divided by document", "name")
    what = "accepted, draft, run:N, pick:NAME, baseline:NAME, or a file (default accepted)"
    sub.add_argument("--from", dest="what", default="accepted", metavar="WHAT", help=what)
    shares = "train/validation/test, in hundredths (default 90/10/0)"
    sub.add_argument("--split", type=_shares, default=(0.9, 0.1, 0.0), metavar="80/10/10", help=shares)
    sub.add_argument("--pairs", action="store_true", help="only rows with a worse answer, for DPO")
    sub.add_argument("--allow-probed", action="store_true", help="keep what was asked in a probe, too")
    sub.add_argument("--seed", type=_number(0, 2**62), default=0, help="default 0: equal seeds divide the same")
    sub.add_argument("--skip-bad", action="store_true", help="leave out the rows of a file that cannot be used")
    work("show", "say what is in a dataset and how it was made", "name")
    sub = work("diff", "say what makes one dataset another", "before", "after")
    sub.add_argument("--all", action="store_true", help="list every row that differs")
    work("rename", "give a dataset another name", "name", "new")
    work("remove", "forget a dataset that no adapter was tuned on", "name")


def _shares(text: str) -> tuple[float, ...]:
    """Three shares that are all of it, such as 80/10/10; two leave nothing for a test."""
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or min(parts) < 0 or parts[0] <= 0 or abs(sum(parts) - 100) > 1e-9:
        raise argparse.ArgumentTypeError(f"{text} is not like 80/10/10, which is a hundred together")
    train, validation, *rest = (part / 100 for part in parts)
    return train, validation, *(rest or [0.0])


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


def _chat(options: argparse.Namespace) -> int:
    from core.commands.chat import chat

    return chat(options)


if __name__ == "__main__":
    sys.exit(main())
