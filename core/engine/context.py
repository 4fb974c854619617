"""A context of a model: the KV cache of many sequences, and the decoding of batches into it."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.llama import Model
from core.engine.native import log, native
from core.engine.shape import Shape
from core.errors import UserError

# What llama_decode returns.
DECODED, ABORTED, NO_MEMORY = 0, 2, -2

_TYPES = {"f16": native.GGML_TYPE_F16, "q8_0": native.GGML_TYPE_Q8_0}

Tokens = NDArray[np.int32]
Logits = NDArray[np.float32]


class Context:
    """Made by `create`. The batch is filled with `put` and evaluated by `decode`."""

    def __init__(self, pointer: Any, model: Model, shape: Shape) -> None:
        self._pointer = pointer
        self._memory: Any = native.llama_get_memory(pointer)
        self._vocabulary_size = model.vocabulary.size
        self._width: int = native.llama_model_n_embd_out(model.pointer)
        self.shape = shape
        self.sequences = shape.sequences
        self.cells: int = native.llama_n_ctx(pointer)
        self.cells_each: int = native.llama_n_ctx_seq(pointer)
        self._stop: Callable[[], bool] = bool
        self._abort = native.ggml_abort_callback(lambda _data: self._stop())
        native.llama_set_abort_callback(pointer, self._abort, ctypes.c_void_p(0))
        self._make_batch(shape.batch)

    @classmethod
    def create(cls, model: Model, shape: Shape, threads: int) -> "Context | None":
        """A context, or None when there is no memory for it (`log().reason()`)."""
        log().clear()
        if shape.flash is None:  # on the CPU its half-precision sums differ by 0.03 nats between alone and in a batch
            shape = replace(shape, flash=model.on_gpu)
        parameters = native.llama_context_default_params()
        parameters.n_ctx = shape.cells
        parameters.n_batch = shape.batch
        # A vector is made of a whole text at once.
        parameters.n_ubatch = shape.batch if shape.vectors else shape.together
        parameters.n_seq_max = shape.sequences
        parameters.n_outputs_max = max(shape.outputs, shape.sequences)
        parameters.kv_unified = shape.shared
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.embeddings = shape.vectors
        parameters.swa_full = shape.whole_windows
        exact = shape.exact and not model.on_gpu
        parameters.type_k = parameters.type_v = native.GGML_TYPE_F32 if exact else _TYPES[shape.cache]
        if shape.mean:
            parameters.pooling_type = native.LLAMA_POOLING_TYPE_MEAN
        if not shape.flash:
            parameters.flash_attn_type = native.LLAMA_FLASH_ATTN_TYPE_DISABLED
        elif shape.cache == "q8_0":  # which nothing else reads; otherwise llama.cpp looks whether it is supported
            parameters.flash_attn_type = native.LLAMA_FLASH_ATTN_TYPE_ENABLED
        pointer = native.llama_init_from_model(model.pointer, parameters)
        return cls(pointer, model, shape) if pointer else None

    def _make_batch(self, size: int) -> None:
        """A batch whose arrays numpy fills."""
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._counts = np.zeros(size, np.int32)
        self._owners = np.zeros(size, np.uintp)  # addresses of each token's sequence ids
        self._outputs = np.zeros(size, np.int8)
        self._numbers = np.arange(self.sequences, dtype=np.int32)
        self._kept: list[Tokens] = []  # what the addresses point to
        self._batch = native.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._counts),
            ("seq_id", self._owners),
            ("logits", self._outputs),
        ):
            kind = dict(native.llama_batch._fields_)[name]
            setattr(self._batch, name, ctypes.cast(array.ctypes.data, kind))

    def stop_when(self, stop: Callable[[], bool]) -> None:
        """A decode on the CPU ends early (ABORTED) when `stop` becomes true."""
        self._stop = stop

    def put(self, at: int, tokens: Tokens, position: int, sequence: int, output: bool) -> int:
        """Puts tokens of one sequence into the batch at index `at`; with `output`, the last one's logits are wanted."""
        end = at + len(tokens)
        self._tokens[at:end] = tokens
        self._positions[at:end] = np.arange(position, position + len(tokens))
        self._counts[at:end] = 1
        self._owners[at:end] = self._numbers[sequence:].ctypes.data
        self._outputs[at:end] = 0
        self._outputs[end - 1] = output
        return end

    def put_shared(
        self, at: int, tokens: Tokens, position: int, sequences: Sequence[int], outputs: NDArray[Any]
    ) -> int:
        """The same for tokens that belong to several sequences at once; `outputs` says so for each token."""
        end = at + len(tokens)
        owners = np.array(sequences, np.int32)
        self._kept.append(owners)
        self._tokens[at:end] = tokens
        self._positions[at:end] = np.arange(position, position + len(tokens))
        self._counts[at:end] = len(owners)
        self._owners[at:end] = owners.ctypes.data
        self._outputs[at:end] = outputs
        return end

    def decode(self, count: int) -> bool:
        """Evaluates the first `count` tokens of the batch; waits for the result, which is False when that was stopped.

        What lies in the cache is then not known. Raises MemoryError, and UserError for whatever else goes wrong.
        """
        log().clear()
        self._batch.n_tokens = count
        result = native.llama_decode(self._pointer, self._batch)
        native.llama_synchronize(self._pointer)
        self._kept.clear()
        if result == ABORTED and self._stop():
            return False
        if result == NO_MEMORY:
            raise MemoryError(log().reason())
        if result != DECODED:
            raise UserError(f"The model failed while it was running: {log().reason()}. Try another model.")
        return True

    def logits(self, outputs: int) -> Logits:
        """The logits of the batch's outputs, in its order, without a copy: valid until the next decode."""
        pointer = native.llama_get_logits(self._pointer)
        if not pointer:
            raise UserError("This model gives no probabilities of words. Choose a model made for text.")
        return np.ctypeslib.as_array(pointer, (outputs, self._vocabulary_size))

    def vector(self, sequence: int) -> NDArray[np.float32]:
        """The pooled vector of a sequence in the last batch, a copy."""
        pointer = native.llama_get_embeddings_seq(self._pointer, sequence)
        if not pointer:
            raise UserError("This model gives no vectors. Choose a model made for embeddings, or one made for text.")
        return np.ctypeslib.as_array(pointer, (self._width,)).copy()

    def use(self, adapter: Any, scale: float) -> None:
        """From now on the weights are those with an adapter added, or without one (None). Forgets everything."""
        one = (native.llama_adapter_lora_p_ctypes * 1)(adapter)
        scales = (ctypes.c_float * 1)(scale)
        count = 0 if adapter is None else 1
        if native.llama_set_adapters_lora(self._pointer, one if count else None, count, scales if count else None):
            raise UserError("The adapter cannot be used with this model. Choose one that was made for it.")
        self.clear()

    def copy(self, source: int, target: int, length: int) -> None:
        """`target` begins with the first `length` tokens of `source`."""
        if self.shape.shared:
            native.llama_memory_seq_cp(self._memory, source, target, 0, length)
            return
        native.llama_memory_seq_cp(self._memory, source, target, -1, -1)  # a part of it would abort the process
        self.truncate(target, length)

    def truncate(self, sequence: int, length: int) -> None:
        """Forgets what follows the first `length` tokens."""
        native.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def remove(self, sequence: int) -> None:
        """Forgets a sequence."""
        native.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def clear(self) -> None:
        """Forgets everything."""
        if self._memory:  # an encoder has none
            native.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        """Gives the memory back."""
        if self._pointer:
            native.llama_free(self._pointer)
        self._pointer = None
