"""Vectors of texts: those that llama.cpp gives one at a time, of length one, whatever else is in the batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.engine import close_engine, embed_texts, open_embedder, open_engine
from core.engine.embedding import TOGETHER
from core.engine.requests import Embedded, EngineSettings
from core.errors import UserError
from core.worker import Worker
from tests.core.engine.conftest import loaded
from tests.data.gguf_tiny import SAMPLE, write_encoder, write_tiny

SETTINGS = EngineSettings(context=1024, sequences=4, threads=1)
QUESTIONS = [f"Question {number} of the page" for number in range(90)]
TEXTS = ["x", "The quick brown fox", SAMPLE[:300], "", *QUESTIONS, SAMPLE[90:500]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("models") / "bert.gguf")


def embedded(path: Path, texts: list[str]) -> Any:
    rows: list[Any] = []
    for item in embed_texts(path, SETTINGS, texts):
        if isinstance(item, Embedded):
            assert item.first == sum(map(len, rows))
            rows.append(np.frombuffer(item.vectors, "<f4").reshape(item.count, -1))
    close_engine()
    return np.concatenate(rows)


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("model", ["tiny", "stories"])
def test_a_chat_models_vectors_are_the_means_of_its_last_states(model: str, request: pytest.FixtureRequest) -> None:
    import llama_cpp

    path = request.getfixturevalue(model)
    texts = [text for text in TEXTS if text][::4]
    vectors = embedded(path, texts)
    llama = llama_cpp.Llama(
        str(path),
        n_ctx=512,
        n_threads=1,
        n_threads_batch=1,
        embedding=True,
        pooling_type=llama_cpp.LLAMA_POOLING_TYPE_NONE,
        verbose=False,
    )
    expected = [unit(np.mean(llama.embed(text), axis=0)) for text in texts]
    llama.close()
    assert np.abs(vectors - np.array(expected)).max() < 2e-3
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_embedding_models_vectors_are_llamas(encoder: Path) -> None:
    import llama_cpp

    texts = [text for text in TEXTS if 0 < len(text) < 200]
    vectors = embedded(encoder, texts)
    llama = llama_cpp.Llama(str(encoder), n_ctx=128, n_threads=1, n_threads_batch=1, embedding=True, verbose=False)
    expected = [unit(np.array(llama.embed(text))) for text in texts]
    llama.close()
    assert np.abs(vectors - np.array(expected)).max() < 1e-4


def test_a_text_has_the_same_vector_alone_and_in_any_company(tiny: Path, encoder: Path) -> None:
    for path in (tiny, encoder):
        together = embedded(path, TEXTS)
        assert len(together) == len(TEXTS) > TOGETHER
        for place in (0, 2, 3, 50, len(TEXTS) - 1):
            alone = embedded(path, [TEXTS[place]])
            assert np.abs(together[place] - alone[0]).max() < 2e-3
        assert together[1] @ together[2] < 0.999


def test_a_text_longer_than_the_model_takes_counts_as_far_as_it_goes(encoder: Path) -> None:
    words = " ".join(["fox"] * 1000)
    long, cut = embedded(encoder, [words, " ".join(["fox"] * 126)])
    assert np.abs(long - cut).max() < 1e-5


def test_a_warm_chat_model_embeds_and_still_answers(tiny: Path, opened: Any) -> None:
    engine = opened(tiny, **{name: getattr(SETTINGS, name) for name in ("context", "sequences", "threads")})
    assert loaded(open_embedder(tiny, SETTINGS)) is engine.embedder  # pyright: ignore[reportArgumentType]
    first = list(engine.embedder.embed(["one", "two"], bool))
    assert first[0][1].shape == (2, 64)


def test_a_warm_embedding_model_is_asked_for_text_in_vain(encoder: Path) -> None:
    list(embed_texts(encoder, SETTINGS, ["x"]))
    with pytest.raises(UserError, match="makes vectors, not text"):
        loaded(open_engine(encoder, SETTINGS))
    close_engine()


def test_damaged_weights_give_no_vectors(tmp_path: Path) -> None:
    with Worker() as worker, pytest.raises(UserError, match="no valid numbers"):
        list(worker.run(embed_texts, write_tiny(tmp_path / "nan.gguf", nan=True), SETTINGS, ["x"]))


def test_a_cancel_ends_it_early(tiny: Path, opened: Any) -> None:
    engine = opened(tiny)
    looks = iter([False, False, True, True])
    batches = list(engine.embedder.embed(TEXTS, lambda: next(looks, True)))
    assert sum(len(vectors) for _, vectors in batches) < len(TEXTS)
