"""What the screens say: sentences by key and language, and numbers as people write them.

The one rule: no sentence for people stands anywhere but in `catalogue/*.toml`. The rest of the
program names a key and gives the values; a key that no catalogue knows is shown as itself, never
as nothing.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final, Literal, get_args

Language = Literal["fr", "en", "es"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
NBSP: Final = "\u00a0"
strict = False
"""Whether `say` raises for an unknown key."""

_BEFORE_MARK = re.compile(r" (?=[:;!?€%»])|(?<=«) |(?<=°) |(?<=º) ")
_TAIL = re.compile(r"(?<=\w)-(?=\w{1,2}\b)")
_BEFORE_UNIT = re.compile(r"(?<=[\d}]) (?=(?:kg|g|s|min|h|j|d|mm|°C)(?![a-zà-ÿ]))")


class UnknownKeyError(KeyError):
    """No catalogue has this key."""


def language_of(text: str | None, otherwise: Language) -> Language:
    """``fr_FR``, ``es`` → one of ours, or `otherwise`."""
    short = (text or "")[:2].lower()
    return next((tongue for tongue in LANGUAGES if tongue == short), otherwise)


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Every sentence of a language under its full key, non-breaking spaces set."""
    text = files("kiosk").joinpath("catalogue", f"{language}.toml").read_text(encoding="utf-8")
    return {
        f"{table}.{key}": unbroken(sentence)
        for table, sentences in tomllib.loads(text).items()
        for key, sentence in sentences.items()
    }


def unbroken(sentence: str) -> str:
    """Tie marks, units and short tails to the word before them, and set real apostrophes.

    No line starts with ``!`` or ``kg``, or ends with ``Remplissez-``.
    """
    tied = _BEFORE_UNIT.sub(NBSP, _BEFORE_MARK.sub(NBSP, sentence))
    return _TAIL.sub("\u2011", tied).replace("'", "’")


class _Given(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "…"


def say(language: Language, key: str, /, **params: object) -> str:
    """The sentence behind `key`, in another language if this one lacks it.

    A key that no language has is shown as itself (the tests set `strict`, and it raises
    `UnknownKeyError`). A value that is missing is shown as an ellipsis: the screen must live.
    """
    for tongue in (language, *LANGUAGES):
        sentence = catalogue(tongue).get(key)
        if sentence is not None:
            return sentence.format_map(_Given(params))
    if strict:
        raise UnknownKeyError(key)
    return key


def said(language: Language, key: str, /, **params: object) -> str:
    """Like `say`, for keys that come from elsewhere (a stranger's driver): never raises."""
    return say(language, key, **params) if key in catalogue("fr") else key


def _mark(language: Language) -> str:
    return "." if language == "en" else ","


def count(language: Language, number: int) -> str:
    """``1 842``, ``1,842``, ``1.842``."""
    return f"{number:,}".replace(",", {"fr": NBSP, "en": ",", "es": "."}[language])


def decimal(language: Language, number: float) -> str:
    """``2,5``, ``2.5``."""
    return f"{number:.1f}".replace(".", _mark(language))


def kilos(language: Language, grams: int) -> str:
    """The number only: ``0,482``. Three decimals, as at the till."""
    sign = "-" if grams < 0 else ""
    whole, rest = divmod(abs(grams), 1000)
    return f"{sign}{whole}{_mark(language)}{rest:03d}"


def weight(language: Language, grams: int) -> str:
    """``0,482 kg``."""
    return f"{kilos(language, grams)}{NBSP}kg"


def limit(language: Language, grams: int) -> str:
    """A scale's limit as its plate has it: ``40 g``, ``15 kg``, ``1,5 kg``."""
    if grams < 1000:
        return f"{grams}{NBSP}g"
    text = kilos(language, grams).rstrip("0").rstrip(".,")
    return f"{text}{NBSP}kg"


def money(language: Language, cents: int) -> str:
    """``1,42 €`` or ``€1.42``."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    if language == "en":
        return f"{sign}€{whole}.{rest:02d}"
    return f"{sign}{whole},{rest:02d}{NBSP}€"


def price(language: Language, cents_per_kg: int) -> str:
    """``2,95 €/kg``."""
    return f"{money(language, cents_per_kg)}/kg"


_DAYS = {
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
}
_MONTHS = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "en": "January February March April May June July August September October November December",
    "es": "enero febrero marzo abril mayo junio julio "
    "agosto septiembre octubre noviembre diciembre",
}


def clock(language: Language, at: datetime) -> str:
    """``18 h 30`` or ``18:30``. `at` is in the shop's time zone."""
    if language == "fr":
        return f"{at.hour}{NBSP}h{NBSP}{at.minute:02d}"
    return f"{at.hour}:{at.minute:02d}"


def day(language: Language, at: datetime) -> str:
    """``jeudi 27 novembre``."""
    weekday = _DAYS[language].split()[at.weekday()]
    month = _MONTHS[language].split()[at.month - 1]
    between = " de " if language == "es" else " "
    number = "1er" if language == "fr" and at.day == 1 else str(at.day)
    return f"{weekday} {number}{between}{month}".replace(f"{number} ", f"{number}{NBSP}", 1)


def moment(language: Language, at: datetime) -> str:
    """``jeudi 27 novembre, 18 h 30``."""
    return f"{day(language, at)}, {clock(language, at)}"


def stamp(at: datetime) -> str:
    """For a label or a table: ``20/11/2026 18:42``."""
    return at.strftime("%d/%m/%Y %H:%M")


def span(language: Language, seconds: float) -> str:
    """How long, in at most two units: ``12 s``, ``4 min``, ``3 h 04``, ``3 j 04 h``."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 1:
        return f"{whole}{NBSP}s"
    if hours < 1:
        return f"{minutes}{NBSP}min"
    if days < 1:
        return f"{hours}{NBSP}h{NBSP}{minutes % 60:02d}"
    return f"{days}{NBSP}{'j' if language == 'fr' else 'd'}{NBSP}{hours % 24:02d}{NBSP}h"


def remedy(language: Language, key: str, /, **params: object) -> str:
    """What a technician does about `key`; "" when nothing is written about it."""
    full = f"remedy.{key}"
    return say(language, full, **params) if full in catalogue("fr") else ""
