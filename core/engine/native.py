"""llama.cpp's C interface, started once in this process and kept quiet: only in the worker child, for it may abort."""

import ctypes
import os
from functools import cache
from typing import Any

import llama_cpp.llama_cpp

native: Any = llama_cpp.llama_cpp  # its annotations name C types where Python's own come and go

ERROR_LEVEL = 4


class Log:
    """Keeps llama.cpp quiet and its last errors, which say why something failed."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._callback = native.llama_log_callback(self._receive)  # ctypes keeps no reference of its own
        self.listen()

    def listen(self) -> None:
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
