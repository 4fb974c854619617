"""Finds personal data in a text by its form and, where numbers have check digits, by those: few false alarms.

Numbers are judged by python-stdnum. What has no check digit counts only where its form is that of nothing else: a page
number, a year, a measurement or a reference is none.
"""

import re
from collections.abc import Callable
from functools import cache

_BEFORE, _AFTER = r"(?<![\w.,/+-])", r"(?![\w/-]|[.,]\d)"  # no part of a longer number, word or address

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@((?:[a-z0-9-]+\.)+[a-z]{2,})(?![\w-])", re.IGNORECASE)
_NOBODYS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$", re.IGNORECASE)  # RFC 2606
_PHONES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?<![\w+.,/-])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,5}(?![\d/]|[.,]\d)",  # +90 532 123 45 67
        r"(?<![\w.+-])\([2-9]\d\d\) ?\d{3}[-. ]\d{4}(?!\w)",  # (415) 555-2671
        rf"{_BEFORE}[2-9]\d\d([-.])[2-9]\d\d\1\d{{4}}{_AFTER}",  # 415-555-2671
        rf"{_BEFORE}0 ?\(?[2-5]\d\d\)? ?\d{{3}} ?\d\d ?\d\d{_AFTER}",  # 0532 123 45 67
        r"\b(?:tel|telefon|telephone|phone|fax|faks|gsm|mobile|handy)\b\.?:? ?(?:no\.?|number|numarası)? ?:? ?"
        r"\(?\+?\d[\d ()./-]{5,}\d",  # Tel.: 030 123456
    )
)


def personal_data(text: str) -> str:
    """What a text holds of personal data, in words such as “an e-mail address”; empty when it holds none."""
    for match in _EMAIL.finditer(text):
        if not _NOBODYS.search(match[1]):
            return "an e-mail address"
    if sum(map(str.isdigit, text)) < 7:  # no number that follows has fewer
        return ""
    for form in _PHONES:
        if any(7 <= sum(map(str.isdigit, match[0])) <= 15 for match in form.finditer(text)):
            return "a telephone number"
    for name, form, is_valid in _numbers():
        if any(is_valid(match[0]) for match in form.finditer(text)):
            return name
    return ""


@cache
def _numbers() -> tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...]:
    """Numbers with check digits: what each is called, its form, and whether its digits are right."""
    from stdnum import iban, luhn
    from stdnum.br import cpf
    from stdnum.fr import nir
    from stdnum.it import codicefiscale
    from stdnum.tr import tckimlik
    from stdnum.us import ssn

    def is_iban(text: str) -> bool:
        """The last groups may be words in capitals that follow it."""
        groups = text.split(" ")
        return any(iban.is_valid("".join(groups[:count])) for count in range(len(groups), 0, -1))

    def is_card(text: str) -> bool:
        digits = re.sub(r"[ -]", "", text)
        return len(set(digits)) > 1 and luhn.is_valid(digits)

    # Visa, Mastercard, American Express, Discover and Troy; in one piece, in fours, or as American Express prints it.
    issuer = r"(?=4|5[1-5]|2[2-7]|3[47]|6011|65|9792)"
    card = rf"{issuer}(?:(?:\d{{4}}[ -]){{3}}\d{{4}}|\d{{4}}[ -]\d{{6}}[ -]\d{{5}}|\d{{15,16}})"
    forms = (
        ("an IBAN", r"[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?", is_iban),
        ("a card number", card, is_card),
        ("a Turkish identity number", r"[1-9]\d{10}", tckimlik.is_valid),
        ("a US social security number", r"\d{3}-\d\d-\d{4}", ssn.is_valid),
        ("an Italian tax code", r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]", codicefiscale.is_valid),
        ("a French social security number", r"[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d\d ?\d{3} ?\d{3} ?\d\d", nir.is_valid),
        ("a Brazilian CPF", r"\d{3}\.\d{3}\.\d{3}-\d\d", cpf.is_valid),
    )
    return tuple((name, re.compile(f"{_BEFORE}{form}{_AFTER}"), valid) for name, form, valid in forms)
