"""Runs many tasks at once through one context: continuous batching with shared prompt prefixes."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from core import worker
from core.engine.answer import Answer
from core.engine.cache import Cache, Slot, common
from core.engine.llama import ABORTED, DECODED, NO_ROOM, Context, Model, Tokens, log
from core.engine.requests import Completion, Loaded, Request, Task, Usage
from core.engine.templates import ChatFormat
from core.errors import UserError

R = TypeVar("R")

LEAST_IDLE = 2  # finished sequences that are kept for their prompts, or a quarter of those that run
WORTH_WAITING = 16  # tokens of a prefix that another sequence is about to evaluate


class Engine:
    """A loaded model that answers. `usage` counts since the last `run` began."""

    def __init__(self, model: Model, context: Context, chat: ChatFormat, room: int, loaded: Loaded) -> None:
        """`room` is how many tokens one prompt and its answer may have."""
        self.loaded = loaded
        self.usage = Usage()
        self.room = room
        self.vocabulary = model.vocabulary
        self.chat = chat
        self.context = context
        self.cache = Cache(context, model.can_truncate)
        self._model = model
        self._running = False

    def run(self, tasks: Iterable[Task[R]], cancelled: Callable[[], bool] = worker.cancelled) -> Iterator[R]:
        """Yields each task's result when it is done, in no fixed order; ends early, quietly, once `cancelled`.

        Takes a task from `tasks` only when there is a sequence for it. A task's own exception comes out of here and
        ends the run; the engine stays usable. Raises UserError when the model gives no valid numbers.
        """
        if self._running:
            raise RuntimeError("the engine is running")
        self._running = True
        run = _Run(self, iter(tasks), cancelled)
        self.context.stop_when(cancelled)
        try:
            yield from run.results()
        finally:
            run.close()
            self.context.stop_when(bool)
            self._running = False

    def close(self) -> None:
        """Gives the memory back."""
        self.context.close()
        self._model.close()


class _Job(Generic[R]):
    """A task's current request: prompt and answer in one row of tokens, evaluated from the left."""

    def __init__(self, task: Task[R], prompt: list[int], answer: Answer) -> None:
        self.task = task
        self.answer = answer
        self.prompt_tokens = len(prompt)
        self.tokens: Tokens = np.zeros(len(prompt) + answer.remaining, np.int32)
        self.tokens[: len(prompt)] = prompt
        self.count = len(prompt)
        self.cached_tokens: int | None = None
        self.slot: Slot | None = None

    @property
    def known(self) -> Tokens:
        return self.tokens[: self.count]

    @property
    def waiting(self) -> int:
        """Known tokens that are not evaluated yet."""
        return self.count - (self.slot.length if self.slot else 0)

    @property
    def need(self) -> int:
        """Cells that this job may still take."""
        return self.waiting + self.answer.remaining

    def add(self, token: int) -> None:
        self.tokens[self.count] = token
        self.count += 1


class _Run(Generic[R]):
    """The state of one `Engine.run`."""

    def __init__(self, engine: Engine, tasks: Iterator[Task[R]], cancelled: Callable[[], bool]) -> None:
        self._engine = engine
        self._cache = engine.cache
        self._tasks = tasks
        self._cancelled = cancelled
        self._pending: deque[_Job[R]] = deque()
        self._running: list[_Job[R]] = []
        self._done: deque[R] = deque()
        self._counts = dict.fromkeys(("prompt_tokens", "cached_tokens", "generated_tokens", "decodes"), 0)
        self._seconds = self._decode_seconds = 0.0
        self._more = True
        self._crowded = False  # llama.cpp found no room: nobody comes in before somebody has gone

    def results(self) -> Iterator[R]:
        """Time that the caller spends with a result is not counted."""
        while not self._cancelled():
            started = time.perf_counter()
            self._fill()
            self._admit()
            if self._running:
                self._step()
            self._seconds += time.perf_counter() - started
            self._engine.usage = Usage(**self._counts, seconds=self._seconds, decode_seconds=self._decode_seconds)
            while self._done:
                yield self._done.popleft()
            if not (self._running or self._pending or self._more):
                return

    def close(self) -> None:
        """Ends what is unfinished; what lies in the cache of it is not known to be whole."""
        if self._running:
            self._cache.clear()
        for job in (*self._running, *self._pending):
            job.answer.close()
            job.task.close()

    def _fill(self) -> None:
        """Takes tasks while there are sequences for them."""
        while self._more and len(self._running) + len(self._pending) < self._engine.context.sequences:
            try:
                task = next(self._tasks)
            except StopIteration:
                self._more = False
                return
            self._resume(task, lambda task=task: next(task))

    def _resume(self, task: Task[R], go_on: Callable[[], Request]) -> None:
        """Runs a task up to its next request, which waits for a sequence, or to its end."""
        try:
            request = go_on()
            while True:
                job = self._prepare(task, request)
                if isinstance(job, _Job):
                    self._pending.append(job)
                    return
                request = task.throw(job) if isinstance(job, Exception) else task.send(job)
        except StopIteration as stop:
            self._done.append(stop.value)

    def _prepare(self, task: Task[R], request: Request) -> _Job[R] | Completion | Exception:
        """The job of a request; its answer where there is no room for one, or what is wrong with it."""
        engine = self._engine
        prompt = engine.chat.tokens(request.messages) or [max(engine.vocabulary.begin_token, 0)]
        room = engine.room - len(prompt)
        if room < 1:
            return Completion("", "context", len(prompt), 0, 0)
        try:
            return _Job(task, prompt, Answer(request, room, engine.chat.stop, engine.vocabulary))
        except (UserError, ValueError) as error:
            return error

    def _admit(self) -> None:
        """Gives sequences to the jobs that there is room for, in their order; one may wait for another's prefix."""
        if self._crowded and self._running:
            return
        waiting: deque[_Job[R]] = deque()
        while self._pending:
            job = self._pending.popleft()
            if self._comes_soon(job):
                waiting.append(job)
                continue
            if not self._has_room(job):
                waiting.append(job)
                break
            job.slot = self._cache.take(job.known)
            if job.cached_tokens is None:
                job.cached_tokens = job.slot.length
            self._running.append(job)
        self._pending.extendleft(reversed(waiting))
        self._cache.trim(max(LEAST_IDLE, self._engine.context.sequences // 4))

    def _comes_soon(self, job: _Job[R]) -> bool:
        """Whether a sequence is about to evaluate more of this prompt than lies in the cache now."""
        if not self._cache.can_share:
            return False
        filling = [other for other in self._running if other.waiting > 1]
        soon = max((common(job.known[:-1], other.known) for other in filling), default=0)
        return soon >= WORTH_WAITING and soon >= self._cache.best(job.known)[0] + WORTH_WAITING

    def _has_room(self, job: _Job[R]) -> bool:
        """Room for the whole answer, so that no sequence need be thrown out half way."""
        cached, source = self._cache.best(job.known)
        reserved = sum(other.need for other in self._running)
        if self._cache.make_room(reserved + job.need - cached, keep=source):
            return True
        return not self._running and self._cache.make_room(job.need)

    def _step(self) -> None:
        """One decode: a token for each sequence that generates, and prompts as far as the batch has room."""
        parts, outputs = self._assemble()
        result = self._decode(sum(len(tokens) for _, tokens in parts))
        if result == NO_ROOM:
            self._give_way()
            return
        if result == ABORTED and self._cancelled():
            return
        if result != DECODED:
            raise UserError(f"The model failed while it was running: {log().reason()}. Try another model.")
        for job, tokens in parts:
            assert job.slot is not None
            self._cache.extend(job.slot, tokens)
        if outputs:
            rows = self._engine.context.logits(len(outputs))
            for job, row in zip(outputs, rows, strict=True):
                self._generate(job, row)

    def _assemble(self) -> tuple[list[tuple[_Job[R], Tokens]], list[_Job[R]]]:
        """Fills the batch: what goes in for whom, and whose logits come out."""
        context = self._engine.context
        parts: list[tuple[_Job[R], Tokens]] = []
        outputs: list[_Job[R]] = []
        used = 0
        for job in sorted(self._running, key=lambda job: job.waiting > 1):
            assert job.slot is not None
            tokens = job.known[job.slot.length :][: context.batch - used]
            if not len(tokens):
                break
            complete = len(tokens) == job.waiting
            used = context.put(used, tokens, job.slot.length, job.slot.number, complete)
            parts.append((job, tokens))
            if complete:
                outputs.append(job)
        return parts, outputs

    def _decode(self, count: int) -> int:
        started = time.perf_counter()
        log().clear()
        result = self._engine.context.decode(count)
        self._decode_seconds += time.perf_counter() - started
        self._counts["decodes"] += 1
        return result

    def _give_way(self) -> None:
        """The cache is full, against the reckoning: idle sequences go, then the youngest starts again later."""
        if self._cache.drop_idle():
            return
        self._crowded = True
        job = self._running.pop()
        assert job.slot is not None
        self._cache.drop(job.slot)
        job.slot = None
        if self._running:
            self._pending.appendleft(job)
        else:
            job.answer.finish = "length" if job.answer.tokens else "context"
            self._complete(job)

    def _generate(self, job: _Job[R], logits: Any) -> None:
        """Adds a token to an answer; ends the job when that was the last."""
        before = len(job.answer.tokens)
        job.answer.take(logits)
        self._counts["generated_tokens"] += len(job.answer.tokens) - before
        if not job.answer.finish:
            job.add(job.answer.tokens[-1])
            return
        assert job.slot is not None
        self._running.remove(job)
        self._cache.rest(job.slot, job.prompt_tokens)
        self._complete(job)

    def _complete(self, job: _Job[R]) -> None:
        """Hands the answer to its task, whose next request goes first: its prompt is still in the cache."""
        self._crowded = False
        cached = job.cached_tokens or 0
        self._counts["prompt_tokens"] += job.prompt_tokens
        self._counts["cached_tokens"] += cached
        completion = job.answer.completion(job.prompt_tokens, cached)
        job.answer.close()
        pending = len(self._pending)
        self._resume(job.task, lambda: job.task.send(completion))
        if len(self._pending) > pending:
            self._pending.rotate(1)
