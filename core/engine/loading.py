"""Opens a model: checks the file, puts it where it fits, and steps down when it does not."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import psutil

from core.engine.context import BATCH, LEAST_CELLS, MOST_SEQUENCES, Context, Shape
from core.engine.embedding import Embedder
from core.engine.llama import ALL_LAYERS, Model, gpu_name, load_model, physical_cores
from core.engine.native import log
from core.engine.requests import TOKENS_A_SEQUENCE, EngineSettings, Loaded, Loading
from core.engine.scheduler import Engine
from core.engine.templates import ChatFormat
from core.errors import Cancelled, UserError
from core.models.files import ModelFile, read_model

LEAST_CONTEXT = 4_096  # tokens, so that one long prompt fits
CACHE_SHARE = 0.25  # of the free memory, for the KV cache
SMALLEST_CONTEXT = 512


def load_engine(
    path: Path, settings: EngineSettings, cancelled: Callable[[], bool]
) -> Generator[Loading, None, Engine]:
    """Loads a model and makes it ready, saying how far it is.

    Raises UserError when the file is no model or does not load, Cancelled when `cancelled` became true.
    """
    file = read_model(path)
    if file.is_embedding:
        raise UserError(f"“{file.name}” makes vectors, not text. Choose a model made for text.")
    gpu = gpu_name()
    sequences = max(1, min(settings.sequences, MOST_SEQUENCES))
    cells = settings.context or _context(file, sequences)
    reasons: list[str] = []
    for layers in _layer_rungs(file, gpu, settings.gpu_layers):
        model = yield from load_model(file.path, layers, cancelled)
        if cancelled():
            if model is not None:
                model.close()
            raise Cancelled("Loading the model was stopped.")
        if model is None:
            reasons.append(log().reason())
            continue
        engine = _engine(file, model, gpu, cells, sequences, settings, reasons)
        if engine is not None:
            return engine
    reason = reasons[0] if reasons else "there is not enough memory for it"
    raise UserError(f"“{file.name}” could not be loaded: {reason}. Choose a smaller model or another file.")


def load_embedder(
    path: Path, settings: EngineSettings, cancelled: Callable[[], bool]
) -> Generator[Loading, None, Embedder]:
    """Loads a model that makes vectors and no text. Raises as `load_engine` does."""
    file = read_model(path)
    model = yield from load_model(file.path, ALL_LAYERS if gpu_name() else 0, cancelled)
    if cancelled():
        if model is not None:
            model.close()
        raise Cancelled("Loading the model was stopped.")
    if model is None:
        raise UserError(f"“{file.name}” could not be loaded: {log().reason()}. Choose another file.")
    return Embedder(model, file.context_length, settings.threads or physical_cores(), owns_model=True)


def _engine(
    file: ModelFile,
    model: Model,
    gpu: str,
    cells: int,
    sequences: int,
    settings: EngineSettings,
    reasons: list[str],
) -> Engine | None:
    """The engine of a loaded model, with a shorter context where the wanted one does not fit; None when none does."""
    try:
        if not model.generates:
            raise UserError(f"“{file.name}” is made to translate or encode. Choose a model made for chat.")
        chat = ChatFormat(file.chat_template, model.vocabulary)
        threads = settings.threads or physical_cores()
        for tokens in _context_rungs(cells):
            together = max(1, min(sequences, tokens // LEAST_CELLS))
            context = Context.create(model, Shape(together, tokens, together), threads)
            if context is not None:
                break
            reasons.append(log().reason())
        else:
            model.close()
            return None
    except UserError:
        model.close()
        raise
    notes = [chat.note]
    if gpu and settings.gpu_layers is None and model.gpu_layers < model.layers:
        notes.append(f"{model.gpu_layers} of {model.layers} layers fitted on the {gpu}.")
    if tokens < cells:
        notes.append(f"The context was shortened to {tokens:,} tokens to fit into memory.")
    loaded = Loaded(
        name=file.name,
        device=gpu if gpu and model.gpu_layers else "CPU",
        gpu_layers=model.gpu_layers if gpu else 0,
        layers=model.layers,
        context=context.cells,
        sequences=context.sequences,
        prompt_style=file.prompt_style,
        note=" ".join(filter(None, notes)),
    )
    return Engine(model, context, chat, min(context.cells, file.context_length), loaded, threads)


def _layer_rungs(file: ModelFile, gpu: str, wanted: int | None) -> list[int]:
    """Layers on the GPU, to be tried in this order."""
    if not gpu:
        return [0]
    if wanted is not None:
        return [wanted]
    return [ALL_LAYERS, file.block_count // 2, 0]


def _context_rungs(cells: int) -> Iterator[int]:
    """Sizes of the context, to be tried in this order."""
    yield cells
    while cells > SMALLEST_CONTEXT:
        cells //= 2
        yield max(cells, SMALLEST_CONTEXT)


def _context(file: ModelFile, sequences: int) -> int:
    """Tokens for all sequences together: enough for the usual passages, within a share of the free memory."""
    wanted = max(LEAST_CONTEXT, sequences * TOKENS_A_SEQUENCE)
    affordable = int(psutil.virtual_memory().available * CACHE_SHARE) // max(1, file.cache_bytes_per_token)
    return max(BATCH, min(wanted, affordable))
