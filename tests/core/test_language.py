"""The language of a text, on real sentences, and the phrases of each language."""

import pytest

from core import language
from core.questions.checks import is_refusal


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mira Sol founded Belmar in 1902. The harbour of Belmar is deep because the river cut it.", "English"),
        ("Belmar limanı derindir, çünkü nehir onu oymuştur. Corda iç kesimdedir ve nüfusu azdır.", "Turkish"),
        ("Die Verordnung ist vor allem für Menschen gedacht, die im Ausland arbeiten.", "German"),
        ("Le port de la ville est profond parce que la rivière l’a creusé il y a longtemps.", "French"),
        ("אבטחת יישומים היא נושא חשוב לכל ארגון שמפתח תוכנה היום", "Hebrew"),
        (
            "本文档介绍了网络应用程序的十大安全风险，以及如何防范这些风险。攻击者可以通过不同的路径方法危害业务。",
            "Chinese",
        ),
        ("Q1 2019 12.5 13.1 Q2 2019 11.2 9.8 GmbH Inc. Ltd. Total 2,331 5,311", ""),
        ("Belmar", ""),
    ],
)
def test_the_language_of_a_text_is_named_when_it_is_certain(text: str, name: str) -> None:
    assert language.guess(text) == name


def test_a_language_is_found_by_any_of_its_names() -> None:
    turkish = language.phrases("Turkish")
    assert turkish.not_in_the_text == "Metinde yok."
    assert {language.phrases(name) for name in ("tr", "türkçe", " TURKISH ")} == {turkish}
    assert language.phrases("Klingon") == language.phrases("") == language.phrases("English")
    assert is_refusal("not in the text")
    assert is_refusal("Metinde yok.")
    assert not is_refusal("In the harbour.")


def test_the_other_word_is_known_too() -> None:
    assert language.truths("Yanlış") == ("Doğru", "Yanlış")
    assert language.truths("Perhaps") is None


def test_words_for_true_and_false_lead_back_to_their_language() -> None:
    assert language.ask_whether("Belmar’ı Mira Sol kurdu.", "Doğru") == "Doğru mu, yanlış mı?"
    assert language.ask_whether("A claim.", "neither") == "True or false?"
    spanish = "El puerto de la ciudad es profundo porque el río lo excavó hace mucho tiempo."
    italian = "Il porto della città è profondo perché il fiume lo ha scavato molto tempo fa."
    assert language.ask_whether(spanish, "Falso") == "¿Verdadero o falso?"
    assert language.ask_whether(italian, "Falso") == "Vero o falso?"


def test_a_language_that_the_app_has_no_phrases_in_is_not_known() -> None:
    assert [language.known(name) for name in ("türkçe", "TR", "English", "Klingon", "")] == [
        "Turkish",
        "Turkish",
        "English",
        "",
        "",
    ]
