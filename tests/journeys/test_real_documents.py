"""Real documents in four languages go all the way to exports whose evidence verifies."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Command

LONG = () if os.environ.get("CI") else pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "en_simple_word_processor_5p.pdf",
        pytest.param("en_3col_federal_register_2020-17221.pdf", marks=LONG),
        pytest.param("tr_2col_cs229_supervised.pdf", marks=LONG),
        pytest.param("tr_spec_asvs_4.0.1.pdf", marks=LONG),
        pytest.param("de_book_geotopo_117p.pdf", marks=LONG),
        pytest.param("he_rtl_owasp_top10_2013.pdf", marks=pytest.mark.slow),
    ],
)
def test_from_pdf_to_verified_export(name: str, shared: Path, elenchus: Command, tmp_path: Path) -> None:
    pdf, project, out = shared / "pdf" / name, tmp_path / "p.elenchus", tmp_path / "out.jsonl"
    elenchus("new", project)
    elenchus("add", project, pdf)
    elenchus("ask", project, "--limit", 4, "--kinds", "factual")
    elenchus("export", project, "--format", "messages", "--state", "draft", "--out", out)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert lines, "the starter model made no question at all"
    pages = {
        page["page"]: page["text"] for page in map(json.loads, elenchus("text", pdf, "--json").stdout.splitlines())
    }
    for line in lines:
        found = line["elenchus"]["evidence"]
        assert pages[found["page"]][found["start"] : found["end"]] == found["text"]
        assert line["messages"][1]["content"].split()[0] in found["text"]
