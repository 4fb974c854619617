"""The commands about fine-tuning: tune a model, keep and export adapters, merge one, and ask whether torch agrees."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import paths
from core.commands.console import ProgressLine, Stopped, counted, interruptible, opened, print_json, say, typed

if TYPE_CHECKING:
    from core.engine.requests import Adapter
    from core.project.project import Project
    from core.project.tuning import AdapterRow, TuningSample
    from core.tuning.records import Agreement, Prepared, Recipe, Sampled, Stepped, Trained

GIVEN = (  # options that are fields of Recipe, where they are given
    *("objective", "rank", "alpha", "learning_rate", "epochs", "batch", "context", "overlong", "packing"),
    *("rank_stabilised", "dropout", "noise", "rationale_weight", "beta", "evaluations", "patience"),
    *("warmup", "weight_decay", "clip"),
    *("device", "dtype", "threads", "seed"),
)
FLAGS = {"learning_rate": "--lr", "rank_stabilised": "--rslora", "packing": "--no-packing"}
SHOWN = 160  # characters of a sample


def tune(options: argparse.Namespace) -> None:
    """`elenchus tune`: trains an adapter and keeps it in the project; says what it will take, and how far it is."""
    from core.datasets import describe, select
    from core.errors import UserError
    from core.project.project import Project
    from core.tuning import extra, tune
    from core.tuning.tune import TuneOptions
    from core.worker import Worker

    if reason := extra.missing():
        raise UserError(reason)
    fixed = [_flag(name) for name in ("dataset", "name", "prompt", "held_out", *GIVEN) if _given(options, name)]
    fixed += [_flag(name) for name in ("skip_bad", "estimate") if getattr(options, name)]
    if options.resume and fixed:
        raise UserError(f"A resumed run goes on as it was begun: leave out {', '.join(fixed)}.")
    if not options.resume and options.dataset is None:
        raise UserError("Say what to learn from with --dataset: accepted, run:N, the name of a dataset, or a file.")
    with (
        _options_named(),
        opened(Project, options.project) as project,
        Worker() as worker,
        interruptible(worker) as stopped,
    ):
        if options.resume:
            _follow(project, tune.resume(project, worker, None, options.model, stopped), options)
            return
        share = 0.1 if options.held_out is None else options.held_out
        for sentence in describe(select(project, options.dataset, share, skip_bad=options.skip_bad)):
            say(sentence)
        model, prompts = options.model or paths.starter_model(), tuple(options.prompt or ())
        kept = (prompts, options.name or "", share, options.skip_bad)
        wanted = TuneOptions(options.dataset, model, _recipe(options), *kept)
        if options.estimate:
            _estimate(tune.estimate(project, worker, wanted, stopped), options)
        else:
            _follow(project, tune.tune(project, worker, wanted, stopped), options)


def adapters(options: argparse.Namespace) -> None:
    """`elenchus adapters`: lists those of a project, and exports, renames or removes one."""
    from core.errors import UserError
    from core.project.project import Project

    target = options.out or options.peft
    if (options.export is None) != (target is None):
        raise UserError("--export NAME goes with --out FILE, for GGUF, or with --peft FOLDER.")
    changes = options.rename is not None or options.remove is not None
    with opened(Project, options.project, read_only=not changes) as project:
        if options.export is not None:
            _export(project, options)
        elif options.rename is not None:
            project.rename_adapter(project.adapter(options.rename[0]).id, options.rename[1])
        elif options.remove is not None:
            project.remove_adapter(project.adapter(options.remove).id)
        else:
            found = project.adapters()
            for adapter in found:
                _show(adapter, options.json)
            if not found:
                say("There are no adapters yet. elenchus tune PROJECT --dataset accepted makes one.")


def merge(options: argparse.Namespace) -> None:
    """`elenchus merge`: base and adapter as one new model."""
    from core.errors import UserError
    from core.project.project import Project
    from core.tuning.merge import Merged, Merging, merge
    from core.worker import Worker

    with opened(Project, options.project, read_only=True) as project:
        adapter = project.adapter(options.adapter)
        file = project.adapter_file(adapter.id)
    base = options.model or Path(adapter.base_path)
    if not base.is_file():
        raise UserError(f"The model that “{adapter.name}” was made for is not at {base}. Say with --model where it is.")
    scale = adapter.scale if options.scale is None else options.scale
    kind, name = options.type or "", f"{adapter.base_name} + {adapter.name}"
    progress = ProgressLine("Merging")
    with Worker() as worker, interruptible(worker) as stopped:
        for item in merge(worker, base, file, options.out, scale, kind, name, stopped):
            if isinstance(item, Merging):
                progress.show(f"{item.stage}, {item.fraction:.0%}")
            elif isinstance(item, Merged):
                progress.end(item.warning)
                _tell_merged(item, options.json)


def parity(options: argparse.Namespace) -> int:
    """`elenchus parity`: the gate before every run, alone. Returns 1 where a model does not pass."""
    from core.errors import UserError
    from core.tuning import extra, tune
    from core.tuning.records import Agreement
    from core.worker import Worker

    if reason := extra.missing("Comparing with torch"):
        raise UserError(reason)
    text = None if options.text is None else _text(options.text)
    failed = 0
    with Worker() as worker, interruptible(worker) as stopped:
        for model in options.models:
            for item in worker.run(tune.parity_job, model, text, cancelled=stopped):
                if isinstance(item, Agreement):
                    _tell_agreement(model, item, options.json)
                    failed += not item.passed
    return 1 if failed else 0


def named_adapter(
    project: "Project | None", given: str, scale: float | None, model: Path, cancelled: Callable[[], bool] = bool
) -> "Adapter":
    """An adapter of the project by its name, or a file; used as strongly as is said there unless `scale` is given.

    Raises UserError where there is neither, or the project's does not fit the model.
    """
    from core.engine.requests import Adapter
    from core.errors import UserError
    from core.models.checksum import sha256
    from core.tuning.adapter_file import check_fit, read_adapter

    found = project.adapters() if project is not None else []
    for adapter in found:
        if project is not None and adapter.name == given:
            file = project.adapter_file(adapter.id)
            if warning := check_fit(read_adapter(file), model, adapter.base_sha256, sha256(model, cancelled)):
                say(warning)
            return Adapter(file, adapter.scale if scale is None else scale)
    if not Path(given).is_file():
        if project is None:
            raise UserError(
                f"There is no adapter “{given}” as a file. If it is one of a project's, name the project with "
                "--project."
            )
        names = ", ".join(f"“{adapter.name}”" for adapter in found) or "none"
        raise UserError(f"There is no adapter “{given}”, neither as a file nor in the project. There are: {names}.")
    return Adapter(Path(given), 1.0 if scale is None else scale)


@contextmanager
def _options_named() -> Iterator[None]:
    """Says which option does what a sentence advises, where the window has a field for it."""
    from core.errors import UserError
    from core.tables import UnusableRows
    from core.tuning.records import AllTooLong

    try:
        yield
    except UnusableRows as error:
        raise UserError(f"{error} --skip-bad leaves it out.") from error
    except AllTooLong as error:
        raise UserError(f"{error} --context makes it longer, and --overlong cut cuts.") from error


def _given(options: argparse.Namespace, name: str) -> bool:
    return getattr(options, name) is not None


def _flag(name: str) -> str:
    return FLAGS.get(name, f"--{name.replace('_', '-')}")


def _recipe(options: argparse.Namespace) -> "Recipe":
    from core.tuning.records import LEARNING_RATES, Recipe

    given: dict[str, Any] = {name: getattr(options, name) for name in GIVEN if _given(options, name)}
    given.setdefault("learning_rate", LEARNING_RATES[given.get("objective", "sft")])
    return Recipe(**given)


def _follow(project: "Project", items: Iterable[Any], options: argparse.Namespace) -> None:
    """Tells how far a run is, and prints its adapter. Raises Stopped, with how to go on, where it was stopped."""
    from core.tuning.records import Evaluated, Sampled, Stepped, Trained
    from core.tuning.tune import Kept

    progress, held_out = ProgressLine("Tuning"), ""
    first: Stepped | None = None
    trained: Trained | None = None
    adapter: AdapterRow | None = None
    answers: dict[int, str] = {}  # to each prompt, as they were last told
    for item in items:
        if isinstance(item, Stepped):
            first = first or item
            progress.show(_how_far(item, first, held_out))
        elif isinstance(item, Evaluated):
            held_out = f", held-out loss {item.loss:.3f}"
        elif isinstance(item, Sampled):
            if answers.get(item.prompt) != item.text:
                answers[item.prompt] = item.text
                progress.end(_answered(item))
        elif isinstance(item, Trained):
            trained = item
        elif isinstance(item, Kept):
            progress.end()
            adapter = item.adapter
            _show(adapter, options.json)
        else:
            _tell(progress, item)
    progress.end()
    if trained is None or adapter is None or trained.why == "stopped":
        raise Stopped(f"{typed('elenchus', 'tune', options.project, '--resume')} goes on with it.")
    for sample in project.tuning_samples(adapter.run_id):
        if sample.step == adapter.step and answers.get(sample.prompt, sample.text) != sample.text:
            say(_answered(sample))
    say(_over(trained))
    model = [] if Path(adapter.base_path) == paths.starter_model() else ["--model", adapter.base_path]
    asked = typed("elenchus", "probe", options.project, "--suite", "addition", *model, "--adapter", adapter.name)
    say(f"To probe with it: {asked}. elenchus suites lists what else there is to ask.")


def _answered(item: "Sampled | TuningSample") -> str:
    text = " ".join(item.text.split())
    return f"Prompt {item.prompt + 1} after step {item.step}: {text[:SHOWN]}{'…' * (len(text) > SHOWN)}"


def _over(trained: "Trained") -> str:
    """That a run is over, and which of its steps was kept."""
    early = ", before its last step: the loss on what was held out no longer fell" if trained.why == "early" else ""
    if trained.best_loss is None:
        kept = f"step {trained.best_step:,}, the last: nothing was held out to judge by"
    else:
        last = ", which is the last too" if trained.best_step == trained.step else ""
        kept = f"step {trained.best_step:,}, the best on what was held out{last}"
    return f"The run is over after step {trained.step:,}{early}. The adapter is that of {kept}."


def _estimate(items: Iterable[Any], options: argparse.Namespace) -> None:
    from core.tuning.records import Prepared

    progress = ProgressLine("Estimating")
    for item in items:
        _tell(progress, item)
        if isinstance(item, Prepared) and options.json:
            print_json(asdict(item) | {"fits": item.estimate.fits})


def _tell(progress: ProgressLine, item: Any) -> None:
    from core.engine.requests import Loaded, Loading
    from core.retrying import Restarted
    from core.tuning.records import Agreement, Prepared

    if isinstance(item, Loading):
        progress.show(f"loading the model, {item.fraction:.0%}")
    elif isinstance(item, Loaded):
        progress.end(f"{item.name}. {item.note}".rstrip())
    elif isinstance(item, Agreement):
        progress.end(f"torch and llama.cpp agree: KL {item.kl:.1e} nats a token (limit {item.limit:g}).")
    elif isinstance(item, Prepared):
        progress.end(_prepared(item))
    elif isinstance(item, Restarted):
        progress.end(f"{item.reason} The work goes on in a fresh one, from its last checkpoint.")


def _prepared(item: "Prepared") -> str:
    from core.engine.fit import size as in_words

    took = item.estimate
    if item.done:
        left = _time(took.seconds * (item.steps - item.done) / item.steps)
        return f"Going on after step {item.done:,} of {item.steps:,}, about {left} left."
    parts = [
        f"{counted(item.examples, 'example')} of {counted(item.tokens, 'token')}, "
        f"of which {item.answer_tokens:,} are learned",
        f"{item.held_out:,} held out",
        f"{item.dropped:,} dropped as too long" if item.dropped else "",
        f"{item.cut:,} cut" if item.cut else "",
        f"{item.lacking:,} without what the objective needs" if item.lacking else "",
    ]
    fits = "" if took.fits else ", which is more than is free"
    return (
        f"{', '.join(filter(None, parts))}. {item.steps:,} steps take about {_time(took.seconds)} on {took.device} in "
        f"{took.dtype} ({took.tokens_per_second:,.0f} tokens/s), and {in_words(took.memory)} of memory{fits} "
        f"({in_words(took.available)} are free)."
    )


def _how_far(item: "Stepped", first: "Stepped", held_out: str) -> str:
    speed = f", {item.tokens / item.seconds:,.0f} tokens/s" if item.seconds > 0 else ""
    left = f", {_time((item.steps - item.step) * item.seconds)} left" if item.step > first.step else ""
    return f"step {item.step:,} of {item.steps:,}, loss {item.loss:.3f}{held_out}{speed}{left}"


def _show(adapter: "AdapterRow", as_json: bool) -> None:
    from core.engine.fit import size as in_words

    if as_json:
        print_json(asdict(adapter))
        return
    loss = "" if adapter.best_loss is None else f", held-out loss {adapter.best_loss:.3f}"
    scale = "" if adapter.scale == 1.0 else f", used × {adapter.scale:g}"
    print(
        f"{adapter.name}  rank {adapter.rank}, step {adapter.step}{loss}{scale}, {in_words(adapter.size)}, "
        f"for {adapter.base_name}, run {adapter.run_id}"
    )


def _export(project: "Project", options: argparse.Namespace) -> None:
    import shutil

    from core.errors import UserError
    from core.tuning.adapter_file import export_peft, read_adapter

    file = project.adapter_file(project.adapter(options.export).id)
    out: Path = options.peft or options.out
    try:
        if options.peft is not None:
            export_peft(read_adapter(file), out)
            return
        if out.exists():
            raise UserError(f"{out} exists already. Choose another name.")
        with paths.finished_file(out) as partial:
            shutil.copyfile(file, partial)
    except OSError as error:
        raise UserError(f"{out} could not be written: {error.strerror or error}. Choose another place.") from error


def _tell_merged(item: Any, as_json: bool) -> None:
    from core.engine.fit import size as in_words

    if as_json:
        print_json({**vars(item), "path": str(item.path)})
        return
    print(item.path)
    say(
        f"{item.quantisation}, {in_words(item.size)}; {item.adapted} weights changed. On {item.tokens} tokens the "
        f"adapter changes the model by KL {item.effect:.3g} nats a token, and the merged model differs from "
        f"base + adapter by {item.kl:.3g} (the likeliest token is the same in {item.top1:.0%})."
    )


def _tell_agreement(model: Path, item: "Agreement", as_json: bool) -> None:
    if as_json:
        print_json({"model": str(model), **asdict(item), "passed": item.passed})
        return
    verdict = "agrees" if item.passed else f"DOES NOT AGREE (limit {item.limit:g})"
    print(
        f"{model.name}  {item.architecture}  KL {item.kl:.2e} nats a token, relative L2 {item.relative_l2:.2e}, "
        f"top-1 {item.top1:.1%} of {item.tokens} tokens: {verdict}"
    )


def _text(path: Path) -> str:
    from core.errors import UserError

    try:
        with open(path, encoding="utf-8") as file:
            return file.read(1 << 20)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} could not be read as text. Choose another file.") from error


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"
