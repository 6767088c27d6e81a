"""Letters of files with one byte a letter: read right, or asked about; never read wrongly."""

import re
from pathlib import Path

import pytest

from edged.charset import ENCODINGS, UnclearError, decide

CAPTURES = Path(__file__).parents[1] / "captures/csv"

CLEAR = {
    "cp1252": "Zoé|Pêches|PÊCHES|CAFÉ|CAFé|Bœuf|L’ail|2,95 €|Jamón|Piña|n°1|Maïs|col·lecció|Müller",
    "mac-roman": "Zoé|Pêches|PÊCHES|CAFÉ|CAFé|Bœuf|L’ail|2,95 €|Jamón|Piña|Müsli Großmann|«bio»",
    "cp850": "Zoé|Pêches|PÊCHES|CAFÉ|CAFé|Purée à l'ail|Jamón|Piña|España|Maïs|Añada|«bio»",
    "iso8859-15": "Zoé|Pêches|PÊCHES|CAFÉ|CAFé|Bœuf|Œufs|Jamón|Piña|Maïs",
}
"""Words of which one alone tells where it was written."""

WORDS = """
Zoé Pêches PÊCHES Crème Maïs Noël L’ail Bœuf Œufs Jamón Piña España Benoît François «bio» Été Ça Où
Gaëlle Plàtans col·lecció Müller Øl Håkan Iñaki Großmann PÂTÉ Côtes Agnès Léa Añada m² Ñora Forlì
Nicolò LIMÕES Limões Haÿ Aleš naïf CŒUR Être Élodie Ömer Ágata n°1 3½ ¡Olé! ¿Qué? 2€ Rhône–Alpes
Güell Vinaròs Brânză Mañana Éva Çelik Île Ånd Äpfel Übung Garçon Dvořák Pommes\u00a0 1\u00a0234 à é
"""


@pytest.mark.parametrize(
    ("encoding", "word"),
    [(name, word) for name, words in CLEAR.items() for word in words.split("|")],
)
def test_a_usual_word_tells_how_it_was_written(encoding, word):
    written = word.encode(encoding)
    assert written.decode(decide([written])) == word


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_word_is_ever_read_wrongly(encoding):
    """It is read right, or asked about with the right reading among the answers."""
    for word in re.split("[ \n]+", WORDS):
        try:
            written = word.encode(encoding)
        except UnicodeEncodeError:
            continue
        if written.isascii():
            continue
        try:
            assert written.decode(decide([written])) == word
        except UnclearError as asked:
            assert any(reading in word for reading in asked.readings.values())  # noqa: PT017


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_clear_word_decides_for_the_whole_file(encoding):
    words = ["Iñaki", "Øl", "Pommes\u00a0", "Zoé"]
    read = decide([word.encode(encoding) for word in words])
    assert [word.encode(encoding).decode(read) for word in words] == words


@pytest.mark.parametrize("name", ["mac.csv", "mac-with-8d.csv"])
def test_a_produce_list_that_excel_for_the_mac_wrote(name):
    cells = re.split(rb"[;\r\n]", (CAPTURES / name).read_bytes())
    assert decide([cell for cell in cells if not cell.isascii()]) == "mac-roman"


def test_what_no_encoding_makes_a_word_of_is_asked_about_with_every_reading():
    with pytest.raises(UnclearError) as asked:
        decide([b"Pommes", b"a\xb2b"])
    assert asked.value.cell == 1
    assert asked.value.readings.keys() == ENCODINGS.keys()


def test_what_is_shown_of_an_unclear_cell_has_no_digits():
    with pytest.raises(UnclearError) as asked:
        decide([b"0420001234004\xa0"])
    assert not any(
        digit in word for word in asked.value.readings.values() for digit in "0123456789"
    )
