"""Words, regions and the way back from a passage to its pages."""

from core.documents.records import PAGE_BREAK
from core.questions import spans


def texts(text: str) -> list[str]:
    found = spans.words(text)
    return [text[a:b] for a, b in zip(found.starts, found.ends, strict=True)]


def test_words_keep_what_belongs_to_them() -> None:
    assert texts("The well-known U.S. ship cost $1,234.50, or 40%.") == [
        "The", "well-known", "U.S", "ship", "cost", "$1,234.50", "or", "40%",
    ]  # fmt: skip
    assert texts("Ali’nin evi; C++ ve C#.") == ["Ali’nin", "evi", "C++", "ve", "C#"]
    assert texts("任何人 SQL") == ["任", "何", "人", "SQL"]
    assert texts(" … — ") == []
    assert texts("हिन्दी বাংলা الْقَاهِرَة") == ["हिन्दी", "বাংলা", "الْقَاهِرَة"]
    assert texts("mean -5 °C, 10⁻³ or .NET; 5 € (1–2)") == ["mean", "-5 °C", "10⁻³", "or", ".NET", "5 €", "1", "2"]


def test_answers_stay_in_their_region() -> None:
    text = "Avel lies north. Belmar lies south."
    span = spans.answer_span(text, (17, len(text)))
    assert text[min(span.starts) : max(span.ends)] == "Belmar lies south"


def test_regions_share_out_the_sentences() -> None:
    text = "Avel lies north. Belmar lies south. Corda is old. Dunmore is new."
    first, second = spans.regions(text, 2)
    assert text[slice(*first)] == "Avel lies north. Belmar lies south."
    assert text[slice(*second)] == "Corda is old. Dunmore is new."
    assert spans.regions("One sentence only.", 3) == [(0, 18)] * 3


def test_evidence_holds_the_answer_and_stays_near_it() -> None:
    text = "Far away. Avel lies north. Mira founded Belmar. Corda is old. The end."
    answer = (text.index("Mira"), text.index("Mira") + 4)
    span = spans.evidence_span(text, answer)
    assert min(span.starts) == text.index("Avel")
    assert max(span.ends) == text.index("The end") - 1
    assert all(start <= answer[0] for start in span.starts)
    assert all(end >= answer[1] for end in span.ends)


def test_evidence_never_crosses_a_page() -> None:
    text = f"Mira founded{PAGE_BREAK}Belmar long ago."
    span = spans.evidence_span(text, (0, 4))
    assert max(span.ends) <= text.index(PAGE_BREAK)


def test_offsets_lead_back_to_the_page() -> None:
    pages = {3: "....the end of page three", 4: "page four begins...."}
    parts = [(3, 4, 25), (4, 0, 16)]
    text = PAGE_BREAK.join(pages[page][a:b] for page, a, b in parts)
    for word in ("three", "four", "begins", "the"):
        start = text.index(word)
        place = spans.locate(parts, start, start + len(word))
        assert place is not None
        assert pages[place[0]][place[1] : place[2]] == word
    assert spans.locate(parts, text.index("three"), text.index("four")) is None
