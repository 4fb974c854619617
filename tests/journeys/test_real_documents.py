"""Real documents in three languages go all the way to exports whose evidence verifies; a fourth is told why not."""

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
        found = json.loads(line["elenchus"])["evidence"]
        assert pages[found["page"]][found["start"] : found["end"]] == found["text"]
        assert line["messages"][1]["content"].split()[0] in found["text"]


@pytest.mark.slow
def test_who_asks_in_a_language_that_the_model_cannot_write_is_told(
    shared: Path, elenchus: Command, tmp_path: Path
) -> None:
    """The starter reads Hebrew evidence out, but writes no Hebrew question; nothing is made up in its place."""
    project = tmp_path / "p.elenchus"
    elenchus("new", project)
    elenchus("add", project, shared / "pdf" / "he_rtl_owasp_top10_2013.pdf")
    said = elenchus("ask", project, "--limit", 4, "--kinds", "factual").stderr
    assert said.count("gave no factual question: ") == 4
    assert "0 questions from 4 of 4 tries" in said
    refused = elenchus("export", project, "--format", "messages", "--out", tmp_path / "out.jsonl", code=1).stderr
    assert "nothing to export" in refused
