"""A conversation with a model: what it is sent, its answer as it comes, and what that cost."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.engine import stream_answer
from core.engine.requests import Adapter, Completion, EngineSettings, Loaded, Loading, Piece, Request, Sampling, Usage
from core.engine.stepping import HANG_TIMEOUT, SteppingDown
from core.errors import UserError
from core.models.files import read_model
from core.worker import WorkerDied

GATHER = 0.04  # seconds in which pieces are gathered: nobody reads faster

_THINKS, _THOUGHT = "<think>", "</think>"


@dataclass(frozen=True)
class ChatSettings:
    """How a model is to answer."""

    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 512

    def request(self, turns: Iterable[tuple[str, str]], question: str, seed: int) -> Request:
        """The next question of a conversation; `turns` are those before it, each with its answer.

        A turn without an answer is left out, for many templates want questions and answers to alternate, and so is
        what a model thought before it answered.
        """
        messages = [("system", self.system)] if self.system.strip() else []
        for asked, answer in turns:
            said = split_thought(answer)[1]
            if said.strip():
                messages += [("user", asked), ("assistant", said)]  # as it came: so it is known from the cache
        return Request((*messages, ("user", question)), self.max_tokens, self.sampling, seed)


@dataclass(frozen=True)
class Answer:
    """The whole of an answer, or as much as came before it was stopped."""

    text: str
    finish: str  # "stop" (its own end), "length" (max_tokens), "context" (it is full) or "stopped" (by the user)
    seed: int
    tokens: int
    prompt_tokens: int
    cached_tokens: int  # of the prompt, known from the turn before
    first_seconds: float  # until the first text, without the loading of the model
    tokens_per_second: float  # from the first text on; 0 where nothing followed it


def converse(
    stepping: SteppingDown,
    model: Path,
    request: Request,
    adapter: Adapter | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Loading | Loaded | Piece | Answer]:
    """Asks a model in a worker's child: yields the answer in pieces, some a second, and then the whole of it.

    A cancel ends the answer and keeps what came. Raises UserError, after the pieces that came, when the model cannot
    answer, its child died, or the conversation does not fit into its context.
    """
    reply, options = _Reply(), {"cancelled": cancelled, "hang_timeout": HANG_TIMEOUT}
    try:
        for item in stepping.run(_answer, model, EngineSettings(), request, adapter, **options):
            if isinstance(item, Piece):
                if news := reply.add(item.text):
                    yield Piece(news)
                continue
            reply.note(item)
            if isinstance(item, Loading | Loaded):
                yield item
    except UserError as error:
        if reply.waiting:
            yield Piece(reply.waiting)
        if not isinstance(error, WorkerDied):
            raise
        raise UserError(f"{error} Ask again: the model is loaded anew.") from error
    if reply.waiting:
        yield Piece(reply.waiting)
    if reply.finish == "context" and not reply.text:
        room = min(reply.context, read_model(model).context_length)
        raise UserError(
            f"The conversation no longer fits into the model's context of {room:,} tokens. "
            "Clear it or shorten the system prompt."
        )
    yield reply.answer(request)


def _answer(path: Path, settings: EngineSettings, request: Request, adapter: Adapter | None) -> Iterator[Any]:
    """The job, with its arguments as a step down wants them."""
    return stream_answer(path, request, settings, adapter)


class _Reply:
    """What has come of an answer. How long that took is what the child says: here, pieces may have waited in a pipe."""

    def __init__(self) -> None:
        self.text = self.waiting = ""  # all of it, and what was not told yet
        self.context = 0  # tokens
        self._told = 0.0  # when something was, by time.monotonic
        self._completion: Completion | None = None
        self._usages = [Usage()]  # by the first piece, and at the end

    @property
    def finish(self) -> str:
        return self._completion.finish if self._completion else "stopped"

    def add(self, piece: str) -> str:
        """Notes a piece; gives what is to be told now."""
        self.text += piece
        self.waiting += piece
        now = time.monotonic()
        if now - self._told < GATHER:
            return ""
        self._told, news, self.waiting = now, self.waiting, ""
        return news

    def note(self, item: Loading | Loaded | Completion | Usage) -> None:
        if isinstance(item, Loaded):
            self.context = item.context
        elif isinstance(item, Completion):
            self._completion = item
        elif isinstance(item, Usage):
            self._usages.append(item)

    def answer(self, request: Request) -> Answer:
        done, usage = self._completion, self._usages[-1]
        first = self._usages[1] if len(self._usages) > 2 else usage
        tokens, seconds = usage.generated_tokens - first.generated_tokens, usage.seconds - first.seconds
        is_full = self.finish == "length" and usage.generated_tokens < request.max_tokens
        return Answer(
            text=self.text,
            finish="context" if is_full else self.finish,
            seed=request.seed,
            tokens=usage.generated_tokens,
            prompt_tokens=done.prompt_tokens if done else 0,
            cached_tokens=done.cached_tokens if done else 0,
            first_seconds=first.seconds,
            tokens_per_second=tokens / seconds if seconds > 0 else 0.0,
        )


def split_thought(answer: str) -> tuple[str, str]:
    """What a model thought before it answered, and its answer; that is empty while it still thinks.

    Some templates open the thought for the model, so that only its end stands in what it writes.
    """
    text = answer.lstrip()
    thought, end, said = text.partition(_THOUGHT)
    if end or text.startswith(_THINKS):
        return thought.removeprefix(_THINKS), said
    return "", answer
