"""What one asks of the engine and what it answers: plain data, no native code."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeVar

R = TypeVar("R")

TOKENS_A_SEQUENCE = 1_024  # of the cache: a passage, its instructions and the answer


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy and ignores the rest."""

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0


GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True)
class Span:
    """Constrains an answer to one contiguous piece of `text`, verbatim by construction.

    The answer is `text[i:j]` for some i in `starts` and j in `ends`, i < j (a leading space of the first token is
    ignored). It never crosses a PAGE_BREAK character.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """One answer to be generated. Equal seeds and prompts give equal answers, as far as the hardware allows.

    What else is in the batch changes the last digits of the logits (on a CPU about 0.001, which an f16 cache makes of
    1e-6): a greedy answer stays the same but for ties, a sampled one may turn where a draw falls between two tokens.
    """

    messages: tuple[tuple[str, str], ...]  # (role, content), formatted by the model's own chat template
    max_tokens: int = 128
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    stop: tuple[str, ...] = ()  # the answer ends before the first of these
    constraint: str | Span | None = None  # a GBNF grammar, or a span of a text


@dataclass(frozen=True)
class Completion:
    """The answer to a request."""

    text: str
    finish: str  # "stop" (end of turn, a stop string or a finished constraint), "length" or "context" (too long)
    prompt_tokens: int
    cached_tokens: int  # of the prompt, taken from another sequence's cache
    generated_tokens: int
    span: tuple[int, int] | None = None  # of an answer to a Span: where `text` stands in it, the first of several


# A task makes one result out of several requests, each depending on the answers before: a generator that yields a
# request and is sent its completion. The engine runs many tasks at once in one batch.
Task = Generator[Request, Completion, R]


@dataclass(frozen=True)
class EngineSettings:
    """How a model is loaded. None means: chosen for the machine and the model."""

    context: int | None = None  # tokens of the cache shared by all sequences
    sequences: int = 16
    gpu_layers: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Loading:
    """A model is being loaded; `fraction` in 0..1."""

    fraction: float


@dataclass(frozen=True)
class Loaded:
    """A model is ready. `note` says where it runs, and which step down was taken when it did not fit."""

    name: str
    device: str
    gpu_layers: int
    layers: int
    context: int
    sequences: int
    prompt_style: str
    note: str = ""


@dataclass(frozen=True)
class Usage:
    """What a run cost so far. Speeds are tokens a second of wall time."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    decodes: int = 0
    seconds: float = 0.0
    decode_seconds: float = 0.0

    @property
    def tokens_per_second(self) -> float:
        return self.generated_tokens / self.seconds if self.seconds else 0.0
