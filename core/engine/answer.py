"""One answer while it is generated: its tokens, its text, and when it ends."""

from random import Random

from core.engine.constraints import SpanMatcher, constrain
from core.engine.requests import Completion, Request, Span
from core.engine.sampling import Logits, choose
from core.engine.vocabulary import Vocabulary


class Answer:
    """Depends on its own request and logits only, so that equal requests give equal answers in any batch."""

    def __init__(self, request: Request, most_tokens: int, stop: tuple[str, ...], vocabulary: Vocabulary) -> None:
        """`most_tokens` is what there is room for. Raises UserError or ValueError for a constraint in error."""
        self._request = request
        self._vocabulary = vocabulary
        self._most = max(1, min(request.max_tokens, most_tokens))
        self._stops = tuple(text.encode() for text in (*request.stop, *stop) if text)
        self._random = Random(request.seed)
        self._constraint = constrain(request.constraint, vocabulary)
        self._output = bytearray()
        self._told = 0  # bytes that `news` has given out
        self.tokens: list[int] = []
        self.finish = ""

    @property
    def remaining(self) -> int:
        """Tokens that may still come."""
        return 0 if self.finish else self._most - len(self.tokens)

    def take(self, logits: Logits) -> None:
        """Adds one token, or sets `finish`. Raises UserError when the logits are no numbers."""
        token = self._choose(logits)
        if token is None or token in self._vocabulary.ends:
            self.finish = "stop"
            return
        self.tokens.append(token)
        if self._constraint is not None:
            self._constraint.accept(token)
        piece = self._vocabulary.piece(token)
        self._output += piece
        most_bytes = self._request.max_bytes
        if self._stopped(len(piece)) or (self._constraint is not None and self._constraint.complete):
            self.finish = "stop"
        elif len(self.tokens) >= self._most:
            self.finish = "length"
        if most_bytes is not None and len(self._output) > most_bytes:
            del self._output[most_bytes:]
            self.finish = "length"

    def news(self) -> str:
        """What has come since the last call and will stay: no half character, nothing that a stop string may cut."""
        whole = len(self._output) - _half(self._output) if self.finish else self._certain()
        text = self._output[self._told : whole].decode("utf-8", errors="replace")
        self._told = max(self._told, whole)
        return text

    def _certain(self) -> int:
        """Bytes at the front that stay whatever comes."""
        held = max(
            (n for stop in self._stops for n in range(1, len(stop)) if self._output.endswith(stop[:n])), default=0
        )
        return len(self._output) - max(held, _half(self._output))

    def completion(self, prompt_tokens: int, cached_tokens: int) -> Completion:
        """The finished answer."""
        text, span = decode(self._output), None
        if isinstance(self._constraint, SpanMatcher) and isinstance(self._request.constraint, Span):
            span = self._constraint.found()
            text = self._request.constraint.text[slice(*span)]
        return Completion(text, self.finish, prompt_tokens, cached_tokens, len(self.tokens), span)

    def close(self) -> None:
        if self._constraint is not None:
            self._constraint.close()

    def _choose(self, logits: Logits) -> int | None:
        """Samples first and asks the constraint about one token; only when it refuses, samples among the others."""
        sampling = self._request.sampling
        token = choose(logits, sampling, self._random, self.tokens)
        if self._constraint is None or self._constraint.allows(token):
            return token
        among = self._constraint.candidates(logits)
        return choose(logits, sampling, self._random, self.tokens, among) if among.size else None

    def _stopped(self, added: int) -> bool:
        """Cuts the output before a stop string, of which the last `added` bytes may be the end."""
        places = [
            place
            for stop in self._stops
            if (place := self._output.find(stop, max(0, len(self._output) - added - len(stop) + 1))) >= 0
        ]
        if places:
            del self._output[min(places) :]
        return bool(places)


def decode(output: bytes | bytearray) -> str:
    """Text of UTF-8 bytes, without a character that is cut at the end."""
    return output[: len(output) - _half(output)].decode("utf-8", errors="replace")


def _half(output: bytes | bytearray) -> int:
    """How many bytes at the end are the beginning of a character that is not whole."""
    for cut in range(1, min(4, len(output) + 1)):
        lead = output[-cut]
        if lead >= 0xC0:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return cut if length > cut else 0
        if lead < 0x80:
            return 0
    return 0
