"""A worker child that the tests of reading share, and the writer of small PDFs on the path."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for pdf_writer

from core.worker import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """One child for all tests: starting it costs more than most of them."""
    with Worker() as child:
        yield child
