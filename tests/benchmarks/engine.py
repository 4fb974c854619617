"""Measures the batched engine against `llama_cpp.Llama` one at a time, on the same prompts in the same run.

python3 dev.py bench engine [REQUESTS] [THREADS]

On a machine that is busy otherwise, use one thread (threads that wait for each other wait longer) and look at the
ratio by processor time.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp

from core.engine import close_engine, open_engine
from core.engine.llama import physical_cores
from core.engine.native import native, repacks_safely
from core.engine.requests import Completion, EngineSettings, Request, Sampling, Span, Task
from core.engine.templates import ChatFormat
from core.engine.vocabulary import Vocabulary
from core.models.files import read_model
from core.paths import cache_folder
from tests.data.gguf_tiny import SAMPLE, write_tiny

SHARED = Path(__file__).resolve().parents[3] / "shared"
SHAPE = "smollm2-135m"
PASSAGE = (SAMPLE * 3)[:1_000]
GENERATED = 64
CONTEXT = 16_384
JSON = 'root ::= "{\\"question\\": \\"" [a-zA-Z ,.?]{40,200} "\\"}"'


@dataclass(frozen=True)
class Speed:
    """Tokens a second of wall time and of processor time."""

    wall: float
    processor: float


class Clock:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def speed(self, tokens: int) -> Speed:
        return Speed(tokens / (time.perf_counter() - self._wall), tokens / (time.process_time() - self._processor))


def main() -> None:
    """Prints `name value unit`, a line each."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else physical_cores()
    path = model()
    plain = [request(number) for number in range(count)]
    print(f"model {path.stem}, {count} requests, {GENERATED} tokens each, {threads} threads", flush=True)
    alone = one_at_a_time(path, plain, threads)
    print(
        f"Llama, one at a time    {alone.wall:8.1f} tok/s  {alone.processor:8.1f} tok/s of processor time", flush=True
    )
    for sequences in (1, 8, 16, 32):
        report(f"engine, {sequences:2} sequences", path, plain, sequences, threads, alone)
    grammar = [request(number, constraint=JSON) for number in range(count)]
    report("with a JSON grammar", path, grammar, 16, threads, alone)
    words = tuple(place for place, letter in enumerate(PASSAGE) if letter == " ")
    span = Span(PASSAGE, (0, *(place + 1 for place in words)), (*words, len(PASSAGE)))
    report("with a span", path, [request(number, constraint=span) for number in range(count)], 16, threads, alone)


def request(number: int, **options: Any) -> Request:
    messages = (
        ("system", f"Read the passage. {PASSAGE}"),
        ("user", f"Question {number}: what is said? {SAMPLE[:220]}"),
    )
    return Request(messages, max_tokens=GENERATED, sampling=Sampling(), seed=number, **options)


def report(name: str, path: Path, requests: list[Request], sequences: int, threads: int, alone: Speed) -> None:
    settings = EngineSettings(context=CONTEXT, sequences=sequences, threads=threads)
    loading = open_engine(path, settings)
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            engine = stop.value
            break
    list(engine.run(iter([answer(request(-1))])))  # the weights are in memory then
    engine.cache.clear()
    clock = Clock()
    list(engine.run(answer(item) for item in requests))
    usage = engine.usage
    speed = clock.speed(usage.generated_tokens)
    outside = 1 - usage.decode_seconds / usage.seconds
    print(
        f"{name:22}  {speed.wall:8.1f} tok/s  {speed.wall / alone.wall:5.2f} times Llama "
        f"({speed.processor / alone.processor:.2f} by processor time)  {outside:5.1%} outside llama_decode  "
        f"{usage.cached_tokens / usage.prompt_tokens:4.0%} cached",
        flush=True,
    )
    close_engine()


def answer(item: Request) -> Task[Completion]:
    return (yield item)


def one_at_a_time(path: Path, requests: list[Request], threads: int) -> Speed:
    """Generated tokens a second of `Llama`, which keeps the prefix that two prompts in a row share."""
    defaults = native.llama_model_default_params

    def survivable() -> Any:
        parameters = defaults()
        parameters.use_extra_bufts = repacks_safely()
        return parameters

    native.llama_model_default_params = survivable  # `Llama` has no option for it
    llama = llama_cpp.Llama(str(path), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    chat = ChatFormat(read_model(path).chat_template, Vocabulary(native.llama_model_get_vocab(llama.model)))
    generated = 0
    clock = Clock()
    for item in requests:
        prompt = chat.tokens(item.messages)
        done: Any = llama.create_completion(prompt, max_tokens=GENERATED, temperature=0.7, repeat_penalty=1.0, seed=1)
        generated += done["usage"]["completion_tokens"]
    speed = clock.speed(generated)
    llama.close()
    return speed


def model() -> Path:
    """Random weights at a real model's shape, with a real tokenizer where there is one; kept in the cache folder."""
    vocabulary = SHARED / "data" / "vocab" / "ggml-vocab-gpt-2.gguf"
    maker = SHARED / "tools" / "make_random_gguf.py"
    folder = cache_folder() / "benchmarks"
    folder.mkdir(exist_ok=True)
    if not (vocabulary.is_file() and maker.is_file()):
        return write_tiny(folder / "tiny.gguf", width=256, layers=8)
    path = folder / f"{SHAPE}-Q4_K_M.gguf"
    if not path.is_file():
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, maker, SHAPE, vocabulary, part, "Q4_K_M"], check=True, capture_output=True)
        part.replace(path)
    return path


if __name__ == "__main__":
    main()
