"""Which letters the bytes of a CSV file stand for, when the file does not say it.

The one rule: a reading is taken when the others are impossible, or when it alone gives words that
we know; else the person is asked. A reading that cannot fail proves nothing: Windows-1252 makes a
"letter" of nearly every byte that a Mac or MS-DOS wrote.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

ENCODINGS: Mapping[str, str] = {
    "cp1252": "Windows",
    "mac-roman": "Mac",
    "cp850": "MS-DOS",
    "iso8859-15": "Linux",
}
"""Where a file with one byte a letter comes from, by Python's name of the encoding."""

_LETTERS = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœšžß")
"""Of the languages around us; ı, þ and ð are none of them."""
_MARKS = frozenset("’‘“”«»–—…·•°ºª²³½¼¾€£$§©®™×¡¿´\xa0")
"""What else stands in lists of names and products; †, ‡, ˆ, ‰, ¬ and frames do not."""
_BETWEEN_LETTERS = frozenset("’´–·\xa0")
_BEFORE_NO_LETTER = frozenset("€£§°»”")
_AFTER_NO_LETTER = frozenset("€£§‘“«¡¿")
_ALONE = frozenset("àáèéòóúÀÁÈÉÒÓÚ")
"""Words of one letter."""

_USUAL = """
pêche pêches crème crèmes chèvre mâche pâte pâtes pâté pâtés pâtisson pâtissons maïs bœuf bœufs
œuf œufs cœur cœurs noël huître huîtres gîte rôti rôtis côte côtes goût août âne flûte flûtes
châtaigne châtaignes gâteau gâteaux fraîche fraîches épinard épinards céleri échalote échalotes
épices épeautre éponge écrou mûre mûres mûr hélène irène thérèse michèle adèle danièle geneviève
agnès inès benoît jérôme françois françoise françoises loïc loïs anaïs thaïs aïcha zoë chloë
gaël gaëlle joël joëlle noëlle raphaël raphaëlle maël maëlle mickaël michaël étienne émilie
élise éric édith élodie éloïse éva évelyne éléonore forêt français française légumes légume
épicerie crèmerie boîte boîtes bûche fèves fève ça où là déjà piña piñas jamón limón melón
plátano plátanos maíz árbol azúcar café té sandía josé maría andrés martín martínez sofía lucía
raúl iván rubén adrián jesús begoña núria mónica ángel ángela álvaro óscar inés tomás nicolás
españa niño niña año fernández garcía lópez pérez gonzález rodríguez sánchez gómez hernández
jiménez ramírez plátan plàtans tomàquet
"""
"""Words with accents that are usual here: first names and what a shop sells."""
_WORDS = frozenset(_USUAL.split())

_ELIDED = re.compile("(?<![^\\W\\d_])(?:[cdjlmnst]|qu)’[aeiouyhâéèêîôœ]", re.IGNORECASE)
"""As in "l’ail", "d’Espagne"."""
_WORD = re.compile(r"[^\W\d_]*[^\W\d_\x00-\x7f][^\W\d_]*|[^\x00-\x7f]")


class UnclearError(Exception):
    """The bytes can be read in more than one way, or in none that makes words.

    `cell` is the number of the first cell that shows it; `readings` its word by encoding.
    """

    def __init__(self, cell: int, readings: Mapping[str, str]) -> None:
        super().__init__(str(dict(readings)))
        self.cell = cell
        self.readings = dict(readings)


def decide(cells: Sequence[bytes]) -> str:
    """The encoding of all these cells, of which some are not ASCII. Raises `UnclearError`."""
    read = {name: [_decoded(cell, name) for cell in cells] for name in ENCODINGS}
    doubts = {
        name: next((n for n, text in enumerate(texts) if not _plausible(text)), None)
        for name, texts in read.items()
    }
    left = [name for name, doubt in doubts.items() if doubt is None]
    # Linux writes most letters as Windows does: where both read the same, there is no question.
    left = [name for n, name in enumerate(left) if read[name] not in [read[o] for o in left[:n]]]
    if len(left) > 1:
        known = [name for name in left if any(_is_known(text) for text in read[name])]
        left = known if len(known) == 1 else left
    if len(left) == 1:
        return left[0]
    if left:
        first = next(n for n in range(len(cells)) if len({read[name][n] for name in left}) > 1)
        raise UnclearError(first, _words(cells[first], left))
    first = max(doubt for doubt in doubts.values() if doubt is not None)
    raise UnclearError(first, _words(cells[first], list(ENCODINGS)))


def _decoded(content: bytes, encoding: str) -> str:
    return content.decode(encoding, errors="replace")


def _words(cell: bytes, encodings: Sequence[str]) -> dict[str, str]:
    """What each encoding makes of the first word in which they differ."""
    texts = {name: _decoded(cell, name) for name in encodings}
    at = next(
        n for n, letters in enumerate(zip(*texts.values(), strict=True)) if len(set(letters)) > 1
    )
    return {name: _word_at(text, at) for name, text in texts.items()}


def _word_at(text: str, at: int) -> str:
    """The letters around a place. No digits: they may be those of a badge."""
    start, end = at, at + 1
    while start and not text[start - 1].isdigit() and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isdigit() and not text[end].isspace():
        end += 1
    return text[start:end]


def _is_known(text: str) -> bool:
    words = (word.casefold() for word in _WORD.findall(text))
    return not _WORDS.isdisjoint(words) or _ELIDED.search(text) is not None


def _plausible(text: str) -> bool:
    """Whether some language around us may write this."""
    around = f" {text} "
    return all(
        _fits(around[at - 1], around[at], around[at + 1])
        for at in range(1, len(around) - 1)
        if not around[at].isascii()
    )


def _fits(before: str, char: str, after: str) -> bool:
    """Whether a character that is not ASCII may stand between these two."""
    if char.lower() in _LETTERS:
        return _letter_fits(before, char, after)
    if char not in _MARKS:
        return False
    if before.isalpha() and after.isalpha():
        return char in _BETWEEN_LETTERS and (char != "·" or (before + after).lower() == "ll")
    if before.isalpha():
        return char not in _AFTER_NO_LETTER and (char != "°" or before in "nN")
    if after.isalpha():
        return char not in _BEFORE_NO_LETTER
    return char not in "’´"


def _letter_fits(before: str, char: str, after: str) -> bool:
    if char.isupper() and (before.islower() or (before.isupper() and after.islower())):
        return False  # ZoÇ, LÈa
    if before.isdigit() and after.isdigit():
        return False
    if not before.isalpha() and not after.isalpha() and char not in _ALONE:
        # Of an abbreviation, or the initial of a name: "É." and "Ç." are read in no two ways.
        return after == "." or before in "'’"
    if char in "ìÌ":
        return not after.isalpha()  # Italian: lunedì
    if char == "ß":
        vowel = unicodedata.normalize("NFD", before)[0].lower()
        return vowel in "aeiouy"
    return True
