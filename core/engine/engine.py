"""A loaded model that answers: its contexts, its adapters, and the runs of tasks through them."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from core import worker
from core.engine.cache import Cache
from core.engine.context import Context
from core.engine.embedding import Embedder
from core.engine.llama import Model
from core.engine.native import log, native
from core.engine.requests import Adapter, Completion, Loaded, Request, Task, Usage
from core.engine.scheduler import Run
from core.engine.scoring import Scorer
from core.engine.shape import padded
from core.engine.templates import ChatFormat
from core.errors import UserError

R = TypeVar("R")


class Engine:
    """A loaded model that answers. `usage` counts since the last `run` began."""

    def __init__(
        self, model: Model, context: Context, chat: ChatFormat, room: int, loaded: Loaded, threads: int
    ) -> None:
        """`room` is how many tokens one prompt and its answer may have."""
        self.loaded = loaded
        self.usage = Usage()
        self.room = room
        self.vocabulary = model.vocabulary
        self.chat = chat
        self.context = context
        self.cache = Cache(context, model.can_truncate)
        self.can_truncate = model.can_truncate
        self.scorer = Scorer(model, chat, room, threads)
        self.embedder = Embedder(model, room, threads)
        self.model, self._threads = model, threads
        self._wanted = replace(context.shape, cells=context.cells)
        self.usual_room = context.cells_each  # tokens of a sequence, unless a prompt needs more
        self._added: tuple[Any, float] = (None, 0.0)  # to the weights: an adapter and how much of it
        self._adapters: dict[Any, Any] = {}  # those loaded, by path and the state of the file
        self._running = False

    def run(
        self,
        tasks: Iterable[Task[R]],
        cancelled: Callable[[], bool] = worker.cancelled,
        adapter: Adapter | None = None,
    ) -> Iterator[R]:
        """Yields each task's result when it is done, in no fixed order; ends early, quietly, once `cancelled`.

        Takes a task from `tasks` only when there is a sequence for it. A task's own exception comes out of here and
        ends the run; the engine stays usable. Raises UserError when the model gives no valid numbers, or the adapter
        does not fit. What earlier runs left in the caches is not used: equal runs give equal numbers, bit for bit.
        """
        run = self._begin(iter(tasks), cancelled, adapter)
        self.cache.clear()
        self.scorer.forget()
        try:
            yield from run.results()
        finally:
            self._end(run)

    def stream(
        self, request: Request, cancelled: Callable[[], bool] = worker.cancelled, adapter: Adapter | None = None
    ) -> Generator[str, None, Completion | None]:
        """Yields the answer piece by piece as it comes, and returns it whole; None when `cancelled`."""

        def task() -> Task[Completion]:
            return (yield request)

        run = self._begin(iter([task()]), cancelled, adapter)
        try:
            return (yield from run.pieces())
        finally:
            self._end(run)

    def use(self, adapter: Adapter | None) -> None:
        """From now on answers with an adapter, or without one.

        What is cached was computed with other weights, and is forgotten. Raises UserError when it does not fit.
        """
        added = (self._loaded(adapter.path), adapter.scale) if adapter else (None, 0.0)
        if added == self._added:
            return
        self._added = added
        self.context.use(*added)
        self.cache.clear()
        self.scorer.use(*added)

    def forget(self, path: Path) -> None:
        """Gives back the memory of an adapter that will not be used again."""
        self.use(None)
        for key in [key for key in self._adapters if key[0] == path]:
            native.llama_adapter_lora_free(self._adapters.pop(key))

    def give_room(self, tokens: int) -> None:
        """Makes the context one of fewer and longer sequences, so that each holds `tokens`; 0 for the usual number.

        It takes no more cells than the usual one, for which there was memory.
        Forgets everything. Nothing may be running. Raises UserError when there is no memory for any.
        """
        sequences = self._wanted.sequences
        while sequences > 1 and sequences * padded(tokens) > self._wanted.cells:
            sequences //= 2  # so that a conversation that grows seldom needs another
        if sequences == self.context.sequences:
            return
        self.context.close()
        wanted = replace(self._wanted, sequences=sequences, outputs=sequences)
        context = Context.create(self.model, wanted, self._threads)
        if context is None:
            context = Context.create(self.model, self._wanted, self._threads)
        if context is None:
            reason = log().reason()
            self.close()
            raise UserError(f"There is no memory for the model's context: {reason}. Close other programs.")
        self.context, self.cache = context, Cache(context, self.can_truncate)
        self.context.use(*self._added)

    @property
    def usual(self) -> bool:
        """Whether the context has its usual number of sequences."""
        return self.context.sequences == self._wanted.sequences

    @property
    def closed(self) -> bool:
        """Whether its memory was given back."""
        return self.model.pointer is None

    def close(self) -> None:
        """Gives the memory back."""
        self.embedder.close()
        self.scorer.close()
        self.context.close()
        self.model.close()

    def _loaded(self, path: Path) -> Any:
        """An adapter as its file is now: it may have been trained anew."""
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(f"“{path.name}” cannot be read: {error.strerror}. Choose another adapter.") from error
        key = path, status.st_size, status.st_mtime_ns
        if key not in self._adapters:
            self._adapters[key] = self.model.adapter(path)
        return self._adapters[key]

    def _begin(self, tasks: Iterator[Task[R]], cancelled: Callable[[], bool], adapter: Adapter | None) -> Run[R]:
        if self._running or self.closed:
            raise RuntimeError("the engine is running or closed")
        self.use(adapter)
        self._running = True
        self.usage = Usage()
        return Run(self, tasks, cancelled)

    def _end(self, run: Run[Any]) -> None:
        run.close()
        self._running = False
