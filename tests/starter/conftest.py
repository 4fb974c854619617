"""Makes the starter model's generator importable, and reads the shipped model as the app does."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "resources" / "models" / "starter.gguf"
sys.path.insert(0, str(ROOT / "packaging" / "starter_model"))

Reply = Callable[[str], str]


@pytest.fixture(scope="session")
def model_path() -> Path:
    if not MODEL.is_file():
        pytest.skip("resources/models/starter.gguf is not in this checkout")
    return MODEL


@pytest.fixture(scope="session")
def reply(model_path: Path) -> Reply:
    """What the model says to a user message, through llama.cpp and the chat template in the file."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    model = llama_cpp.Llama(str(model_path), n_ctx=2048, n_threads=1, n_threads_batch=1, verbose=False)

    def say(message: str) -> str:
        made = model.create_chat_completion([{"role": "user", "content": message}], temperature=0.0, max_tokens=160)
        return made["choices"][0]["message"]["content"]

    return say
