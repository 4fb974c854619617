"""Small models in torch and in llama.cpp."""

import atexit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llama_cpp._utils
import pytest
import torch

from core.engine.llama import Model, load_model
from core.engine.native import log
from tests.core.tuning.variants import VARIANTS
from tests.data.gguf_architectures import write_model

for file in (llama_cpp._utils.outnull_file, llama_cpp._utils.errnull_file):
    atexit.register(file.close)  # left open, which Python complains of where torch was there too

Write = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Other tests run beside these."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes the model of a variant, once for equal settings."""
    folder = tmp_path_factory.mktemp("architectures")
    found: dict[str, Path] = {}

    def write(variant: str, **settings: Any) -> Path:
        key = f"{variant} {settings}"
        if key not in found:
            together = VARIANTS.get(variant, {}) | settings
            found[key] = write_model(folder / f"{len(found)}.gguf", variant.partition(",")[0], **together)
        return found[key]

    return write


Loaded = Callable[[Path], Model]


@pytest.fixture
def loaded() -> Iterator[Loaded]:
    """Loads models into llama.cpp, and closes them."""
    log()
    models: list[Model] = []

    def load(path: Path) -> Model:
        loading = load_model(path, 0, bool)
        while True:
            try:
                next(loading)
            except StopIteration as stop:
                models.append(stop.value)
                return stop.value

    yield load
    for model in models:
        model.close()
