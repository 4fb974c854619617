"""Search finds a word in capitals by its small letters and the other way round, in Turkish and in English."""

import pytest
from project_material import fill, make_draft

from core.project.folding import fold
from core.project.project import Project
from core.project.records import ExampleFilter

TURKISH = """
ışık IŞIK|istanbul İSTANBUL|ısparta ISPARTA|izmir İZMİR|iğdır IĞDIR|ılık ILIK|iyi İYİ|ıssız ISSIZ|içinde İÇİNDE
ığdır IĞDIR|çığ ÇIĞ|şişli ŞİŞLİ|üzüm ÜZÜM|öğretmen ÖĞRETMEN|ağaç AĞAÇ|dağ DAĞ|yağmur YAĞMUR|çiçek ÇİÇEK|güneş GÜNEŞ
kış KIŞ|yaz YAZ|ilkbahar İLKBAHAR|sonbahar SONBAHAR|kız KIZ|erkek ERKEK|çocuk ÇOCUK|anne ANNE|baba BABA|kardeş KARDEŞ
kitap KİTAP|kalem KALEM|defter DEFTER|silgi SİLGİ|okul OKUL|öğrenci ÖĞRENCİ|sınıf SINIF|tahta TAHTA|sıra SIRA|ders DERS
bilgi BİLGİ|bilim BİLİM|fizik FİZİK|kimya KİMYA|tarih TARİH|coğrafya COĞRAFYA|edebiyat EDEBİYAT|müzik MÜZİK|resim RESİM
ekmek EKMEK|peynir PEYNİR|zeytin ZEYTİN|süt SÜT|çay ÇAY|kahve KAHVE|şeker ŞEKER|tuz TUZ|biber BİBER|salça SALÇA
kırmızı KIRMIZI|sarı SARI|yeşil YEŞİL|mavi MAVİ|siyah SİYAH|beyaz BEYAZ|mor MOR|turuncu TURUNCU|gri GRİ|pembe PEMBE
bir BİR|iki İKİ|üç ÜÇ|dört DÖRT|beş BEŞ|altı ALTI|yedi YEDİ|sekiz SEKİZ|dokuz DOKUZ|on ON
pazartesi PAZARTESİ|salı SALI|çarşamba ÇARŞAMBA|perşembe PERŞEMBE|cuma CUMA|cumartesi CUMARTESİ|pazar PAZAR
ocak OCAK|şubat ŞUBAT|mart MART|nisan NİSAN|mayıs MAYIS|haziran HAZİRAN|temmuz TEMMUZ|ağustos AĞUSTOS|eylül EYLÜL
ekim EKİM|kasım KASIM|aralık ARALIK|ankara ANKARA|adana ADANA|bursa BURSA|çanakkale ÇANAKKALE|diyarbakır DİYARBAKIR
eskişehir ESKİŞEHİR|gaziantep GAZİANTEP|kayseri KAYSERİ|kırıkkale KIRIKKALE|kırşehir KIRŞEHİR|muğla MUĞLA|niğde NİĞDE
şanlıurfa ŞANLIURFA|şırnak ŞIRNAK|tekirdağ TEKİRDAĞ|uşak UŞAK|yalova YALOVA|zonguldak ZONGULDAK|ağrı AĞRI|artvin ARTVİN
balıkesir BALIKESİR|bingöl BİNGÖL|bitlis BİTLİS|çankırı ÇANKIRI|çorum ÇORUM|düzce DÜZCE|edirne EDİRNE|elazığ ELAZIĞ
erzincan ERZİNCAN|giresun GİRESUN|gümüşhane GÜMÜŞHANE|hakkâri HAKKÂRİ|kâğıt KÂĞIT|rüzgâr RÜZGÂR|hikâye HİKÂYE|lâle LÂLE
ıhlamur IHLAMUR|ırmak IRMAK|ıslak ISLAK|ısırgan ISIRGAN|ıspanak ISPANAK|ıstakoz ISTAKOZ|ızgara IZGARA|inci İNCİ
ipek İPEK|iskele İSKELE|ispat İSPAT|itfaiye İTFAİYE|izin İZİN|incir İNCİR|insan İNSAN|iş İŞ|işçi İŞÇİ|ilaç İLAÇ
aşk AŞK|akıl AKIL|balık BALIK|bıçak BIÇAK|cıva CIVA|çıkış ÇIKIŞ|dışarı DIŞARI|fındık FINDIK|gıda GIDA|hız HIZ
kılıç KILIÇ|ova OVA|ordu ORDU|öykü ÖYKÜ|pınar PINAR|sığır SIĞIR|şair ŞAİR|tırnak TIRNAK|ufuk UFUK|yılan YILAN
kıyı KIYI|limon LİMON|mısır MISIR|nine NİNE|pırlanta PIRLANTA|piliç PİLİÇ|rıhtım RIHTIM|sınır SINIR|sinir SİNİR
tıp TIP|tip TİP|uyku UYKU|vişne VİŞNE|yıldız YILDIZ|zırh ZIRH|zihin ZİHİN|ılım ILIM|ilim İLİM|ısı ISI|isli İSLİ
adım ADIM|bitki BİTKİ|cihaz CİHAZ|çizgi ÇİZGİ|deniz DENİZ|eşik EŞİK|fikir FİKİR|gemi GEMİ|hırs HIRS|kıl KIL|kil KİL
""".replace("\n", "|")
ENGLISH = """
title TITLE|island ISLAND|inside INSIDE|is IS|it IT|in IN|i I|mississippi MISSISSIPPI|wi-fi WI-FI|naive naïve
cafe CAFÉ|resume résumé|uber ÜBER|strasse STRASSE|straße STRASSE|ﬁnal FINAL|eﬃcient EFFICIENT|angstrom Ångström
""".replace("\n", "|")
OTHERS = """
привет ПРИВЕТ|ελλάδα ΕΛΛΆΔΑ|οδυσσεύς ΟΔΥΣΣΕΎΣ|żółw ŻÓŁW|ａｂｃ ABC|①② 12|éte\u0301 ÉTÉ|e\u0301te É\u0054E|ǆ Ǆ|ﷺ ﷺ
""".replace("\n", "|")


def pairs(table: str) -> list[tuple[str, str]]:
    found = [tuple(pair.split(" ")) for pair in table.split("|") if pair]
    return [(pair[0], pair[1]) for pair in found]


@pytest.mark.parametrize("table", [TURKISH, ENGLISH, OTHERS], ids=["Turkish", "English", "others"])
def test_pairs_fold_alike(table: str) -> None:
    assert [(small, capital) for small, capital in pairs(table) if fold(small) != fold(capital)] == []


def test_there_are_two_hundred_turkish_pairs() -> None:
    assert len(set(pairs(TURKISH))) >= 200


@pytest.mark.parametrize(
    ("one", "other"), [("がか", "かか"), ("हिन्दी", "हनद"), ("ab", "a b"), ("işık", "asık"), ("שָׁ", "ש")]
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_folding_twice_changes_nothing() -> None:
    for small, capital in pairs(TURKISH + ENGLISH + OTHERS):
        assert fold(fold(small)) == fold(small)
        assert fold(fold(capital)) == fold(capital)
    assert fold("  Two\n\twords ") == "two words"


def test_search_finds_each_form(project: Project) -> None:
    run_id = fill(project, 0)
    first = project.add_example(
        run_id, make_draft(0, question="IŞIK hızı nedir?", answer="İSTANBUL'da ölçüldü", choices=())
    )
    second = project.add_example(run_id, make_draft(1, question="What is the TITLE?", answer="Light"))
    for text in ("ışık", "IŞIK", "isik", "ISIK", "Işık  HIZI", "istanbul", "İstanbul'da", "ISTANBUL", "olculdu"):
        assert project.example_ids(ExampleFilter(text=text)) == [first], text
    for text in ("title", "TİTLE", "tıtle", "LIGHT"):
        assert project.example_ids(ExampleFilter(text=text)) == [second], text
    assert project.count(ExampleFilter(text="%")) == project.count(ExampleFilter(text="_")) == 0
    project.edit_example(second, answer="Karanlık")
    assert project.example_ids(ExampleFilter(text="KARANLIK")) == [second]
    assert project.example_ids(ExampleFilter(text="light")) == []
    project.undo()
    assert project.example_ids(ExampleFilter(text="light")) == [second]
