"""A loaded model: its weights, its vocabulary, and what may be done with it; and the adapters made for it."""

import ctypes
import os
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psutil

from core.engine.native import log, native, repacks_safely
from core.engine.requests import Loading
from core.engine.vocabulary import Vocabulary
from core.errors import UserError
from core.models.gguf_header import read_header

ALL_LAYERS = 9_999


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


class Model:
    """The weights, loaded."""

    def __init__(self, pointer: Any, gpu_layers: int) -> None:
        self.pointer = pointer
        self.layers: int = native.llama_model_n_layer(pointer)
        self.gpu_layers = min(gpu_layers, self.layers)
        self.vocabulary = Vocabulary(native.llama_model_get_vocab(pointer))
        self.generates: bool = native.llama_model_has_decoder(pointer) and not native.llama_model_has_encoder(pointer)
        self.can_truncate = not (native.llama_model_is_recurrent(pointer) or native.llama_model_is_hybrid(pointer))

    @property
    def pools(self) -> bool:
        """Whether the model says how the states of a text's tokens become one vector."""
        architecture = self._metadata("general.architecture")
        return self._metadata(f"{architecture}.pooling_type") not in ("", "0")

    def adapter(self, path: Path) -> Any:
        """A LoRA adapter in GGUF, which stays until the model goes.

        Raises UserError when the file is damaged, or does not fit the model.
        """
        read_header(path)  # llama.cpp trusts what a stranger's file says
        log().clear()
        pointer = native.llama_adapter_lora_init(self.pointer, os.fsencode(path))
        if not pointer:
            raise UserError(
                f"“{path.name}” cannot be used with this model: {log().reason()}. "
                "Choose an adapter that was made for just this model."
            )
        return pointer

    def close(self) -> None:
        if self.pointer:
            native.llama_model_free(self.pointer)
        self.pointer = None

    def _metadata(self, key: str) -> str:
        value = ctypes.create_string_buffer(64)
        native.llama_model_meta_val_str(self.pointer, key.encode(), value, len(value))
        return value.value.decode(errors="replace")


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
