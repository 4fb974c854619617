"""Measures the engine against others on the same model and requests, in the same run.

python3 dev.py bench engine [PART…] [--shape NAME] [--requests N] [--items N] [--threads T]

generation  many requests at once, against `llama_cpp.Llama` one at a time
grammar     what JSON grammars and spans cost beside the decodes
scoring     options of one prompt, against one decode an option
harness     the same against lm-evaluation-harness and llama-cpp-python's server (installs 2 GB into the cache folder)

Without a PART: all but the last. Each line is: name, value, unit, and the peer's figure. On a machine that is busy
otherwise, use one thread (threads that wait for each other wait longer) and look at the ratio by processor time.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from core.engine import SPIN, close_engine, open_engine

if sys.argv[1:2] != ["llama"]:
    os.environ.setdefault(*SPIN)  # as the app has it: before llama.cpp is imported

import llama_cpp

from core.engine.devices import physical_cores
from core.engine.engine import Engine
from core.engine.native import native, repacks_safely
from core.engine.requests import EngineSettings, Request, Sampling, Score, Span, Task
from core.engine.templates import ChatFormat
from core.engine.vocabulary import Vocabulary
from core.models.files import read_model
from core.paths import cache_folder
from tests.data.gguf_tiny import SAMPLE, write_tiny

SHARED = Path(__file__).resolve().parents[3] / "shared"
HARNESS = Path(__file__).with_name("_harness.py")
VOCABULARIES = {"smollm2-135m": "gpt-2", "qwen2.5-0.5b": "qwen2"}
PASSAGE = (SAMPLE * 3)[:1_000]
GENERATED = 64
CONTEXT = 16_384
PREFIX_WORDS = 190  # about 300 tokens
JSON = r"""root ::= "{\"question\": \"" char{1,60} "\", \"answer\": \"" char{1,60} "\"}"
char ::= [^"\\\x7F\x00-\x1F] | "\\" ["\\/bfnrt]"""


@dataclass(frozen=True)
class Speed:
    """Units a second of wall time and of processor time."""

    wall: float
    processor: float


class Clock:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def speed(self, units: int) -> Speed:
        return Speed(units / (time.perf_counter() - self._wall), units / (time.process_time() - self._processor))


def main() -> None:
    """Prints `name value unit`, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    parser.add_argument("--shape", choices=list(VOCABULARIES), default="smollm2-135m")
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--threads", type=int, default=physical_cores())
    options = parser.parse_args()
    path = model(options.shape)
    print(f"model {path.stem}, {options.threads} threads", flush=True)
    for part in options.parts or ("generation", "grammar", "scoring"):
        PARTS[part](path, options)


def say(name: str, value: float, unit: str, peer: str = "") -> None:
    print(f"{name:34} {value:9.2f} {unit:14} {peer}".rstrip(), flush=True)


# Generation


def generation(path: Path, options: argparse.Namespace) -> None:
    """1, 8, 16 and 32 requests at once."""
    requests = [request(number) for number in range(options.requests)]
    alone = in_its_own_process(path, options)
    say("generation, Llama one at a time", alone.wall, "tokens/s")
    for sequences in (1, 8, 16, 32):
        engine = opened(path, sequences, options.threads)
        speed = answered(engine, requests)
        peer = f"{speed.wall / alone.wall:.2f} times Llama ({speed.processor / alone.processor:.2f} by processor time)"
        say(f"generation, {sequences} at once", speed.wall, "tokens/s", peer)
        say(f"  outside llama_decode, {sequences} at once", 100 * outside(engine), "% of the time")
    close_engine()


def grammar(path: Path, options: argparse.Namespace) -> None:
    """Constrained answers, 16 at once. With random weights nearly every token is refused: the worst case."""
    engine = opened(path, 16, options.threads)
    words = tuple(place for place, letter in enumerate(PASSAGE) if letter == " ")
    span = Span(PASSAGE, (0, *(place + 1 for place in words)), (*words, len(PASSAGE)))
    for name, constraint in (("without a constraint", None), ("JSON grammar", JSON), ("span", span)):
        requests = [request(number, constraint=constraint) for number in range(options.requests)]
        speed = answered(engine, requests)
        say(f"generation, {name}", speed.wall, "tokens/s")
        say(f"  outside llama_decode, {name}", 100 * outside(engine), "% of the time")
    texts = [result.text for result in run(engine, [request(n, constraint=JSON, max_tokens=400) for n in range(16)])]
    say("valid JSON", 100 * sum(map(valid, texts)) / len(texts), "%")
    close_engine()


def valid(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def request(number: int, **options: Any) -> Request:
    messages = (
        ("system", f"Read the passage. {PASSAGE}"),
        ("user", f"Question {number}: what is said? {SAMPLE[:220]}"),
    )
    return Request(messages, **({"max_tokens": GENERATED, "sampling": Sampling(), "seed": number} | options))


def answered(engine: Engine, requests: list[Request]) -> Speed:
    engine.cache.clear()
    clock = Clock()
    run(engine, requests)
    return clock.speed(engine.usage.generated_tokens)


def outside(engine: Engine) -> float:
    """The share of the time that is not spent in llama_decode."""
    return 1 - engine.usage.decode_seconds / engine.usage.seconds


def run(engine: Engine, asked: Iterable[Any]) -> list[Any]:
    def task(ask: Any) -> Task[Any]:
        return (yield ask)

    return list(engine.run(task(ask) for ask in asked))


def opened(path: Path, sequences: int, threads: int) -> Engine:
    """An engine whose weights are in memory."""
    loading = open_engine(path, EngineSettings(context=CONTEXT, sequences=sequences, threads=threads))
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            engine = stop.value
            break
    run(engine, [request(-1, max_tokens=4)])
    return engine


def in_its_own_process(path: Path, options: argparse.Namespace) -> Speed:
    """What `one_at_a_time` measures where nothing of ours is set."""
    arguments = ["llama", "--shape", options.shape, "--requests", options.requests, "--threads", options.threads]
    environment = {name: value for name, value in os.environ.items() if name != SPIN[0]}
    command = [sys.executable, "-m", "tests.benchmarks.engine", *map(str, arguments)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return Speed(*json.loads(said.splitlines()[-1]))


def llama(path: Path, options: argparse.Namespace) -> None:
    """Prints the speed of the peer."""
    speed = one_at_a_time(path, [request(number) for number in range(options.requests)], options.threads)
    print(json.dumps([speed.wall, speed.processor]))


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
    native.llama_model_default_params = defaults
    return speed


# Scoring


def scoring(path: Path, options: argparse.Namespace) -> None:
    """Items of four options after a prompt of their own."""
    items = score_items(options.items)
    engine = opened(path, 16, options.threads)
    together = scored(engine, items)
    alone = options_alone(engine, items[: max(4, options.items // 10)])
    say("scoring, one decode an option", alone.wall, "items/s")
    peer = f"{together.wall / alone.wall:.2f} times ({together.processor / alone.processor:.2f} by processor time)"
    say("scoring, engine", together.wall, "items/s", peer)
    say("  outside llama_decode", 100 * outside(engine), "% of the time")
    close_engine()


def harness(path: Path, options: argparse.Namespace) -> None:
    """The gguf backend of lm-evaluation-harness, one request an option to llama-cpp-python's server on loopback."""
    items = score_items(options.items)
    together = scored(opened(path, 16, options.threads), items)
    close_engine()
    say("scoring, engine", together.wall, "items/s")
    peer = harness_speed(path, items[: max(2, options.items // 50)], options.threads)
    say("scoring, lm-evaluation-harness", peer, "items/s", f"the engine is {together.wall / peer:.1f} times as fast")


def score_items(count: int) -> list[Score]:
    chance, words = Random(1), SAMPLE.split()
    items = []
    for number in range(count):
        passage = " ".join(chance.choices(words, k=PREFIX_WORDS))
        options = tuple(" " + " ".join(chance.choices(words, k=3)) for _ in range(4))
        items.append(Score(f"Passage {number}: {passage}\nQuestion: what is said?\nAnswer:", options))
    return items


def scored(engine: Engine, items: list[Score]) -> Speed:
    run(engine, items[:1])  # makes the context
    clock = Clock()
    run(engine, items)
    usage = engine.usage
    say("  tokens of a prompt with its option", usage.prompt_tokens / len(items) / 4, "tokens")
    return clock.speed(len(items))


def options_alone(engine: Engine, items: list[Score]) -> Speed:
    clock = Clock()
    for item in items:
        for option in item.options:
            run(engine, [Score(item.messages, (option,))])
            engine.scorer.use(None, 0.0)  # forgets what was read
    return clock.speed(len(items))


def harness_speed(path: Path, items: list[Score], threads: int) -> float:
    """Items a second of the peer, which has an environment of its own."""
    python = harness_environment()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [str(python), str(HARNESS), "serve", str(path), str(port), str(threads), str(int(repacks_safely()))]
    server = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asked = json.dumps([[item.messages, item.options] for item in items])
        ask = [str(python), str(HARNESS), "ask", str(port)]
        seconds = float(subprocess.run(ask, input=asked, text=True, capture_output=True, check=True).stdout.split()[-1])
    finally:
        server.kill()
        server.wait()
    return len(items) / seconds


def harness_environment() -> Path:
    """The Python of the peer's environment, made when missing."""
    folder = cache_folder() / "harness"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "torch==2.13.0"], check=True)  # alone: a build for the processor where there is one
        subprocess.run([*pip, "-r", str(HARNESS.with_name("harness-requirements.txt"))], check=True)
        site = Path(llama_cpp.__file__).parent.parent  # the very build that is measured
        (next(folder.glob("lib*/**/site-packages")) / "llama.pth").write_text(str(linked(folder, site)))
        (folder / "ready").touch()
    return python


def linked(folder: Path, site: Path) -> Path:
    """A folder with our llama_cpp and nothing else of ours."""
    place = folder / "llama"
    place.mkdir(exist_ok=True)
    for name in ("llama_cpp", "lib"):
        if (site / name).exists() and not (place / name).exists():
            (place / name).symlink_to(site / name)
    return place


# Models


def model(shape: str) -> Path:
    """Random weights at a real model's shape, with a real tokenizer where there is one; kept in the cache folder."""
    vocabulary = SHARED / "data" / "vocab" / f"ggml-vocab-{VOCABULARIES[shape]}.gguf"
    maker = SHARED / "tools" / "make_random_gguf.py"
    folder = cache_folder() / "benchmarks"
    folder.mkdir(exist_ok=True)
    if not (vocabulary.is_file() and maker.is_file()):
        return write_tiny(folder / "tiny.gguf", width=256, layers=8)
    path = folder / f"{shape}-Q4_K_M.gguf"
    if not path.is_file():
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, maker, shape, vocabulary, part, "Q4_K_M"], check=True, capture_output=True)
        part.replace(path)
    return path


PARTS = {"generation": generation, "grammar": grammar, "scoring": scoring, "harness": harness, "llama": llama}


if __name__ == "__main__":
    main()
