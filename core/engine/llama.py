"""The thin layer over llama.cpp's C interface: a loaded model, its vocabulary, and a context that decodes batches.

Everything here may abort the process on a bad file; it runs in the worker child only.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Generator, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp
import numpy as np
import psutil
from numpy.typing import NDArray

from core.engine.requests import Loading
from core.errors import UserError

native: Any = llama_cpp.llama_cpp  # its annotations name C types where Python's own come and go

BATCH = 512  # tokens in one decode: bounds the wait for a cancel where a decode cannot be interrupted
ALL_LAYERS = 9_999
MOST_SEQUENCES = 256  # llama.cpp's own limit
ERROR_LEVEL = 4

# What llama_decode returns.
DECODED, NO_ROOM, ABORTED = 0, 1, 2

Tokens = NDArray[np.int32]
Logits = NDArray[np.float32]


class Log:
    """Keeps llama.cpp quiet and its last errors, which say why something failed."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._callback = native.llama_log_callback(self._receive)  # ctypes keeps no reference of its own
        native.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _receive(self, level: int, text: bytes, _data: object) -> None:
        if level == ERROR_LEVEL:
            self._errors = [*self._errors[-7:], text.decode("utf-8", errors="replace").strip()]

    def clear(self) -> None:
        self._errors = []

    def reason(self) -> str:
        """The first of the last errors, without the name of the C++ function."""
        text = self._errors[0] if self._errors else "llama.cpp gave no reason"
        return text.removeprefix("llama_model_load: ").removeprefix("error loading model: ").rstrip(".")


@cache
def log() -> Log:
    """Starts llama.cpp once in this process, quietly."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # an abort would first wait for a debugger
    quiet = Log()
    native.llama_backend_init()
    return quiet


@cache
def repacks_safely() -> bool:
    """Whether weights may be rearranged for the processor: with AMX llama.cpp then dies at the first decode of a
    quantised model (github.com/ggml-org/llama.cpp/issues/20824)."""
    return b"AMX_INT8 = 1" not in native.llama_print_system_info()


def physical_cores() -> int:
    """The cores that this process may use, without hyper-threads: more threads make llama.cpp slower."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return max(1, min(cores, allowed))


def gpu_name() -> str:
    """What llama.cpp can put layers on, or an empty string."""
    log()
    if not native.llama_supports_gpu_offload():
        return ""
    from llama_cpp._ctypes_extensions import load_shared_library
    from llama_cpp._ggml import libggml, libggml_base_path

    try:
        base = load_shared_library("ggml-base", libggml_base_path)
        libggml.ggml_backend_dev_count.restype = ctypes.c_size_t
        libggml.ggml_backend_dev_get.restype = ctypes.c_void_p
        libggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
        base.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
        base.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
        base.ggml_backend_dev_description.restype = ctypes.c_char_p
        for index in range(libggml.ggml_backend_dev_count()):
            device = libggml.ggml_backend_dev_get(index)
            if base.ggml_backend_dev_type(device) in (1, 2):  # a GPU, or one inside the processor
                return base.ggml_backend_dev_description(device).decode("utf-8", errors="replace")
    except (AttributeError, OSError, RuntimeError):  # a build that exports less
        return "GPU"
    return ""


class Vocabulary:
    """Text to tokens and back, in bytes: a character may be split over tokens."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self.size: int = native.llama_vocab_n_tokens(pointer)
        self._pieces: dict[int, bytes] = {}

    def tokenise(self, text: str, *, begin: bool = False, special: bool = False) -> list[int]:
        """`begin` adds what the model wants at the start of a text, `special` reads control tokens by name."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 16
        while True:
            tokens = (native.llama_token * room)()
            count = native.llama_tokenize(self.pointer, data, len(data), tokens, room, begin, special)
            if count >= 0:
                return tokens[:count]
            room = -count

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for a control token."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read(token, special=False)
        return known

    def name(self, token: int) -> str:
        """The text of a token, of a control token as well; empty where there is no such token."""
        return self._read(token, special=True).decode("utf-8", errors="replace") if token >= 0 else ""

    @property
    def begin_token(self) -> int:
        return native.llama_vocab_bos(self.pointer)

    @property
    def end_token(self) -> int:
        return native.llama_vocab_eos(self.pointer)

    @cached_property
    def pieces(self) -> "Pieces":
        """All pieces by their bytes; made when first needed, as it takes a moment for a large vocabulary."""
        return Pieces([self.piece(token) for token in range(self.size)])

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return frozenset(token for token in range(self.size) if native.llama_vocab_is_eog(self.pointer, token))

    @cached_property
    def control_names(self) -> tuple[str, ...]:
        """The texts that `special` would read as control tokens."""
        control = (token for token in range(self.size) if native.llama_vocab_is_control(self.pointer, token))
        return tuple(name for token in control if len(name := self.name(token)) > 1)

    def _read(self, token: int, special: bool) -> bytes:
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = native.llama_token_to_piece(self.pointer, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count


class Pieces:
    """Finds the tokens that a text may go on with, without a look at the others."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._tokens: dict[bytes, list[int]] = {}
        lengths: dict[bytes, set[int]] = {}
        for token, piece in enumerate(pieces):
            if piece:
                self._tokens.setdefault(piece, []).append(token)
                lengths.setdefault(piece[:2], set()).add(len(piece))
        self._lengths = {start: sorted(found) for start, found in lengths.items()}
        self.longest = max(map(len, self._tokens), default=0)

    def starting(self, text: bytes, at: int) -> Iterator[int]:
        """The tokens whose bytes stand in `text` at `at`."""
        for start in {text[at : at + 1], text[at : at + 2]}:
            for length in self._lengths.get(start, ()):
                piece = text[at : at + length]
                if len(piece) == length:
                    yield from self._tokens.get(piece, ())


class Model:
    """The weights, loaded."""

    def __init__(self, pointer: Any, gpu_layers: int) -> None:
        self.pointer = pointer
        self.layers: int = native.llama_model_n_layer(pointer)
        self.gpu_layers = min(gpu_layers, self.layers)
        self.vocabulary = Vocabulary(native.llama_model_get_vocab(pointer))
        self.generates: bool = native.llama_model_has_decoder(pointer) and not native.llama_model_has_encoder(pointer)
        self.can_truncate = not (native.llama_model_is_recurrent(pointer) or native.llama_model_is_hybrid(pointer))

    def close(self) -> None:
        if self.pointer:
            native.llama_model_free(self.pointer)
        self.pointer = None


def load_model(path: Path, gpu_layers: int, cancelled: Callable[[], bool]) -> Generator[Loading, None, Model | None]:
    """Loads the weights, saying how far it is; None when it failed (`log().reason()`) or was cancelled."""
    log().clear()
    fraction, given_up = 0.0, False
    loaded: list[Any] = []

    def progress(done: float, _data: object) -> bool:
        nonlocal fraction
        fraction = done
        return not (given_up or cancelled())

    parameters = native.llama_model_default_params()
    parameters.n_gpu_layers = gpu_layers
    parameters.use_extra_bufts = repacks_safely()
    parameters.progress_callback = callback = native.llama_progress_callback(progress)

    def load() -> None:
        loaded.append(native.llama_model_load_from_file(os.fsencode(path), parameters))

    thread = threading.Thread(target=load, name="load-model")
    thread.start()
    try:
        alive = True
        while alive:
            yield Loading(fraction)
            thread.join(0.1)
            alive = thread.is_alive()
        given_up = not loaded or not loaded[0]
        return None if given_up else Model(loaded[0], gpu_layers)
    except GeneratorExit:
        given_up = True
        thread.join()
        if loaded and loaded[0]:
            native.llama_model_free(loaded[0])
        raise
    finally:
        del callback


class Context:
    """The KV cache of many sequences in one, and the decoding of batches into it."""

    def __init__(self, pointer: Any, model: Model, sequences: int, threads: int) -> None:
        self._pointer = pointer
        self._memory: Any = native.llama_get_memory(pointer)
        self._vocabulary_size = model.vocabulary.size
        self.sequences = sequences
        self.cells: int = native.llama_n_ctx(pointer)
        self.batch: int = native.llama_n_batch(pointer)
        self.slots: int = native.llama_n_seq_max(pointer)
        self._stop: Callable[[], bool] = bool
        self._abort = native.ggml_abort_callback(lambda _data: self._stop())
        native.llama_set_abort_callback(pointer, self._abort, ctypes.c_void_p(0))
        self._make_batch()

    @classmethod
    def create(cls, model: Model, cells: int, sequences: int, threads: int) -> "Context | None":
        """A context of `cells` tokens for `sequences` at once; None when there is no memory for it."""
        parameters = native.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = parameters.n_ubatch = BATCH
        # Twice as many: a finished sequence stays, as a cache of its prompt, until its room is needed.
        parameters.n_seq_max = min(2 * sequences, MOST_SEQUENCES) if model.can_truncate else sequences
        parameters.n_outputs_max = parameters.n_seq_max  # fewer aborts the process, more costs memory
        parameters.kv_unified = True  # a partial copy of a sequence aborts the process otherwise
        parameters.n_threads = parameters.n_threads_batch = threads
        if not model.gpu_layers:  # there its half-precision sums differ by 0.03 nats between alone and in a batch
            parameters.flash_attn_type = native.LLAMA_FLASH_ATTN_TYPE_DISABLED
        pointer = native.llama_init_from_model(model.pointer, parameters)
        return cls(pointer, model, sequences, threads) if pointer else None

    def _make_batch(self) -> None:
        """A batch whose arrays numpy fills; every token belongs to one sequence."""
        size = self.batch
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._sequence = np.zeros(size, np.int32)
        self._ones = np.ones(size, np.int32)
        self._outputs = np.zeros(size, np.int8)
        first = self._sequence.ctypes.data
        self._sequence_pointers = np.arange(first, first + 4 * size, 4, dtype=np.uintp)
        self._batch = native.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._ones),
            ("seq_id", self._sequence_pointers),
            ("logits", self._outputs),
        ):
            kind = dict(native.llama_batch._fields_)[name]
            setattr(self._batch, name, ctypes.cast(array.ctypes.data, kind))

    def stop_when(self, stop: Callable[[], bool]) -> None:
        """A decode on the CPU ends early (ABORTED) when `stop` becomes true."""
        self._stop = stop

    def put(self, at: int, tokens: Tokens, position: int, sequence: int, output: bool) -> int:
        """Puts tokens into the batch at index `at`; with `output`, the last one's logits are wanted."""
        end = at + len(tokens)
        self._tokens[at:end] = tokens
        self._positions[at:end] = np.arange(position, position + len(tokens))
        self._sequence[at:end] = sequence
        self._outputs[at:end] = 0
        self._outputs[end - 1] = output
        return end

    def decode(self, count: int) -> int:
        """Evaluates the first `count` tokens of the batch; waits for the result."""
        self._batch.n_tokens = count
        result = native.llama_decode(self._pointer, self._batch)
        native.llama_synchronize(self._pointer)
        return result

    def logits(self, outputs: int) -> Logits:
        """The logits of the batch's outputs, in its order, without a copy: valid until the next decode."""
        pointer = native.llama_get_logits(self._pointer)
        if not pointer:
            raise UserError("This model gives no probabilities of words. Choose a model made for text.")
        return np.ctypeslib.as_array(pointer, (outputs, self._vocabulary_size))

    def copy(self, source: int, target: int, length: int) -> None:
        """`target` shares the first `length` tokens of `source`."""
        native.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def truncate(self, sequence: int, length: int) -> None:
        """Forgets what follows the first `length` tokens."""
        native.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def remove(self, sequence: int) -> None:
        native.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        native.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        if self._pointer:
            native.llama_free(self._pointer)
        self._pointer = None
