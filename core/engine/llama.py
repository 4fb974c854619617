"""A loaded model: its weights, its vocabulary, and what may be done with it; and the adapters made for it."""

import ctypes
import os
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from core.engine.native import log, native, repacks_safely
from core.engine.requests import Loading
from core.engine.vocabulary import Vocabulary
from core.errors import UserError
from core.models.gguf_header import read_header


class Model:
    """The weights, loaded."""

    def __init__(self, pointer: Any, gpu_layers: int) -> None:
        self.pointer = pointer
        self.layers: int = native.llama_model_n_layer(pointer)
        self.on_gpu = gpu_layers > 0
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
    """Loads the weights, saying how far it is; None when it failed (`log().reason()`) or was cancelled.

    Without layers for it, the graphics card is not even opened: llama.cpp would compute long prompts there.
    """
    log().clear()
    fraction, given_up = 0.0, False
    loaded: list[Any] = []

    def progress(done: float, _data: object) -> bool:
        nonlocal fraction
        fraction = done
        return not (given_up or cancelled())

    parameters = native.llama_model_default_params()
    parameters.n_gpu_layers = gpu_layers
    no_devices = (ctypes.c_void_p * 1)()
    if not gpu_layers:
        parameters.devices = ctypes.addressof(no_devices)
    parameters.use_extra_bufts = repacks_safely()
    parameters.progress_callback = callback = native.llama_progress_callback(progress)

    def load() -> None:
        loaded.append(native.llama_model_load_from_file(os.fsencode(path), parameters))

    thread = threading.Thread(target=load, name="load-model")
    thread.start()
    try:
        said = 0.0
        yield Loading(said)
        while thread.is_alive():
            thread.join(0.1)
            if fraction > said:  # an item is a sign of life: a driver that hangs gives none
                said = fraction
                yield Loading(said)
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
