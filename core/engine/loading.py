"""Opens a model: checks the file, puts it where it fits, and steps down when it does not."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np

from core.engine.context import Context
from core.engine.devices import Device, carrying, devices, physical_cores
from core.engine.embedding import Embedder
from core.engine.engine import Engine
from core.engine.fit import Plan, choose, ladder, size, wanted_context
from core.engine.llama import Model, load_model
from core.engine.native import log
from core.engine.requests import EngineSettings, Loaded, Loading, Trying
from core.engine.templates import ChatFormat
from core.errors import Cancelled, UserError
from core.models.files import ModelFile, read_model


def load_engine(
    path: Path, settings: EngineSettings, cancelled: Callable[[], bool]
) -> Generator[Loading, None, Engine]:
    """Loads a model and makes it ready, saying how far it is and, with `Trying`, what it tries.

    Raises UserError when the file is no model or does not load, Cancelled when `cancelled` became true.
    """
    file = read_model(path)
    if file.is_embedding:
        raise UserError(f"“{file.name}” makes vectors, not text. Choose a model made for text.")
    found = devices()
    on_processor = _rung_on_processor(file, found, settings)
    reasons: list[str] = []
    unloadable: set[int] = set()
    model: Model | None = None
    gpu_layers = 0  # of this model
    try:
        for plan in choose(file, found, settings):
            if plan.gpu_layers in unloadable:
                continue
            note = _note(plan, file, found, settings, reasons)
            yield Trying(0.0, plan.rung, on_processor, note)
            if model is not None and plan.gpu_layers != gpu_layers:
                model.close()
                model = None
            if model is None:
                gpu_layers = plan.gpu_layers
                model = yield from load_model(file.path, gpu_layers, cancelled)
            if cancelled():
                raise Cancelled("Loading the model was stopped.")
            if model is None:
                unloadable.add(plan.gpu_layers)
            elif engine := _engine(file, model, plan, note, found, settings):
                model = None  # the engine's
                return engine
            reasons.append(log().reason())
    finally:
        if model is not None:
            model.close()
    reason = reasons[0] if reasons else "there is not enough memory for it"
    raise UserError(f"“{file.name}” could not be loaded: {reason}. Choose a smaller model or another file.")


def load_embedder(
    path: Path, settings: EngineSettings, cancelled: Callable[[], bool]
) -> Generator[Loading, None, Embedder]:
    """Loads a model that makes vectors and no text. Raises as `load_engine` does."""
    file, found = read_model(path), devices()
    on_processor = _rung_on_processor(file, found, settings)
    plans = {plan.gpu_layers: plan for plan in reversed(choose(file, found, settings))}  # the best of each
    for plan in sorted(plans.values(), key=lambda plan: plan.rung):
        yield Trying(0.0, plan.rung, on_processor)
        model = yield from load_model(file.path, plan.gpu_layers, cancelled)
        if cancelled():
            if model is not None:
                model.close()
            raise Cancelled("Loading the model was stopped.")
        if model is not None:
            return Embedder(model, file.context_length, settings.threads or physical_cores(), owns_model=True)
    raise UserError(f"“{file.name}” could not be loaded: {log().reason()}. Choose another file.")


def _engine(
    file: ModelFile, model: Model, plan: Plan, note: str, found: Sequence[Device], settings: EngineSettings
) -> Engine | None:
    """The engine of a loaded model; None when there is no memory for its context."""
    if not model.generates:
        raise UserError(f"“{file.name}” is made to translate or encode. Choose a model made for chat.")
    chat = ChatFormat(file.chat_template, model.vocabulary)
    threads = settings.threads or physical_cores()
    context = Context.create(model, plan.shape, threads)
    if context is None:
        return None
    if plan.gpu_layers and not _warm_up(context, model):
        context.close()
        return None
    loaded = Loaded(
        name=file.name,
        device=_names(found) if plan.gpu_layers else "CPU",
        gpu_layers=plan.layers_on_gpu(model.layers),
        layers=model.layers,
        context=context.cells,
        sequences=context.sequences,
        prompt_style=file.prompt_style,
        note=" ".join(filter(None, (chat.note, note))),
        rung=plan.rung,
    )
    return Engine(model, context, chat, min(context.cells, file.context_length), loaded, threads)


def _warm_up(context: Context, model: Model) -> bool:
    """Whether the first decode succeeds: drivers allocate the rest in it, and some end the process for want of it."""
    count = min(context.shape.together, context.cells_each)
    context.put(0, np.full(count, max(model.vocabulary.begin_token, 0), np.int32), 0, 0, True)
    try:
        return context.decode(count)
    except (MemoryError, UserError):
        return False
    finally:
        context.clear()


def _note(
    plan: Plan, file: ModelFile, found: Sequence[Device], settings: EngineSettings, reasons: Sequence[str]
) -> str:
    """What was given up, and why."""
    cells, sequences = wanted_context(file, settings)
    layers = len(file.dimensions.layers)
    given_up = []
    if carrying(found) and settings.gpu_layers is None and plan.gpu_layers <= layers:
        part = f"{plan.gpu_layers} of {layers} layers fitted on the {_names(found)}."
        given_up.append(
            part if plan.gpu_layers else f"It did not fit on the {_names(found)}: it runs on the processor."
        )
    if plan.shape.cells < cells:
        fewer = f", for {plan.shape.sequences} at a time" if plan.shape.sequences < sequences else ""
        given_up.append(f"The context was shortened to {plan.shape.cells:,} tokens{fewer}, to fit into memory.")
    if plan.shape.cache == "q8_0":
        given_up.append("The cache is kept in 8 bits.")
    if given_up and reasons:
        given_up.append(f"With more, llama.cpp said: {reasons[-1]}.")
    elif given_up and settings.rung:
        given_up.append("With more, it ended the process.")
    if plan.missing:
        given_up.append(f"It needs about {size(plan.missing)} more memory than is free, and may be slow.")
    if settings.context and settings.context > cells:
        trained = f"{file.context_length:,} tokens at a time"
        given_up.append(f"The model was trained for {trained}: the context is limited to {cells:,}.")
    return " ".join(given_up)


def _rung_on_processor(file: ModelFile, found: Sequence[Device], settings: EngineSettings) -> int:
    """The first rung that leaves the graphics card alone, or the last one where none does."""
    plans = ladder(file, found, settings)
    return next((plan.rung for plan in plans if not plan.gpu_layers), len(plans) - 1)


def _names(found: Sequence[Device]) -> str:
    return " + ".join(device.description for device in carrying(found))
