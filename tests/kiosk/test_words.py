import ast
import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kiosk import words
from kiosk.words import LANGUAGES, NBSP, catalogue, say

KEY = re.compile(
    r"(device|reader|scale|printer|camera|link|store|barcode|entrance|weighing|photo|label|status"
    r"|page|command|remedy)(\.[a-z0-9_]*[a-z0-9])+"
)
NOT_KEYS = {"barcode.nomenclature", "barcode.rule"}
"""Names of Odoo's models."""


def params(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_things(language: words.Language) -> None:
    french, other = catalogue("fr"), catalogue(language)
    assert french.keys() == other.keys()
    for key in french:
        assert params(french[key]) == params(other[key]), key
        assert other[key].strip() == other[key] != "", key


def test_every_key_that_the_program_names_has_a_sentence(sources: dict[Path, ast.Module]) -> None:
    known = catalogue("fr")
    lost = {
        (node.value, path.name)
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and KEY.fullmatch(node.value)
        and node.value not in known
        and node.value not in NOT_KEYS
        and not node.value.endswith((".py", ".toml", ".html"))
    }
    assert lost == set()


def test_every_key_that_a_template_names_has_a_sentence() -> None:
    root = Path(words.__file__).parent / "templates"
    known = catalogue("fr")
    for template in root.glob("*.html"):
        for key in re.findall(r'say\("([a-z_.]+[a-z_])"[,)]', template.read_text(encoding="utf-8")):
            assert key in known, (template.name, key)


def test_remedies_are_written_for_keys_that_exist() -> None:
    known = catalogue("fr")
    for key in known:
        if key.startswith("remedy."):
            assert key.removeprefix("remedy.") in known


def test_an_unknown_key_raises_here_and_is_shown_as_it_is_in_a_shop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(words.UnknownKeyError):
        say("fr", "no.such")
    monkeypatch.setattr(words, "strict", False)
    assert say("fr", "no.such") == "no.such"
    assert words.said("fr", "acme.melted") == "acme.melted"
    assert words.remedy("fr", "acme.melted") == ""


def test_a_missing_value_is_an_ellipsis_and_markup_in_one_is_only_text() -> None:
    assert say("fr", "link.up") == "connecté à …"
    assert say("en", "link.up", host="{x}") == "connected to {x}"


def test_lines_do_not_break_before_marks_and_units() -> None:
    assert words.unbroken("Bonjour ! 60 s, {min} kg ; « oui » : 3 €") == (
        f"Bonjour{NBSP}! 60{NBSP}s, {{min}}{NBSP}kg{NBSP}; «{NBSP}oui{NBSP}»{NBSP}: 3{NBSP}€"
    )
    assert (
        words.unbroken("Remplissez-le, n° 4, l'accueil")
        == f"Remplissez\u2011le, n°{NBSP}4, l’accueil"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_has_a_space_that_may_break_before_a_mark(language: words.Language) -> None:
    for key, sentence in catalogue(language).items():
        assert not re.search(r" [:;!?€%»]", sentence), key


@pytest.mark.parametrize(
    ("language", "grams", "text"),
    [
        ("fr", 482, "0,482 kg"),
        ("en", 482, "0.482 kg"),
        ("es", 12005, "12,005 kg"),
        ("fr", -5, "-0,005 kg"),
        ("fr", 0, "0,000 kg"),
    ],
)
def test_weights(language: words.Language, grams: int, text: str) -> None:
    assert words.weight(language, grams) == text.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("language", "cents", "text"),
    [("fr", 142, "1,42 €"), ("en", 142, "€1.42"), ("es", 5, "0,05 €"), ("fr", 123456, "1234,56 €")],
)
def test_money(language: words.Language, cents: int, text: str) -> None:
    assert words.money(language, cents) == text.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("grams", "text"), [(40, "40 g"), (15000, "15 kg"), (1500, "1,5 kg"), (10000, "10 kg")]
)
def test_limits(grams: int, text: str) -> None:
    assert words.limit("fr", grams) == text.replace(" ", NBSP)


def test_dates_are_written_in_full() -> None:
    at = datetime(2026, 11, 26, 18, 30, tzinfo=UTC)
    assert words.moment("fr", at).replace(NBSP, " ") == "jeudi 26 novembre, 18 h 30"
    assert words.moment("en", at).replace(NBSP, " ") == "Thursday 26 November, 18:30"
    assert words.moment("es", at).replace(NBSP, " ") == "jueves 26 de noviembre, 18:30"
    assert (
        words.day("fr", datetime(2026, 12, 1, tzinfo=UTC)).replace(NBSP, " ")
        == "mardi 1er décembre"
    )


def test_counts_and_spans() -> None:
    assert [words.count(tongue, 1842) for tongue in LANGUAGES] == [f"1{NBSP}842", "1,842", "1.842"]
    spans = [words.span("fr", s).replace(NBSP, " ") for s in (3, 250, 11040, 273600)]
    assert spans == ["3 s", "4 min", "3 h 04", "3 j 04 h"]


def test_languages_of_members() -> None:
    assert words.language_of("es_ES", "fr") == "es"
    assert words.language_of("de_DE", "fr") == "fr"
    assert words.language_of(None, "en") == "en"
