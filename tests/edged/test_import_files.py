"""CSV files as spreadsheets and people make them: taken right, or refused with the true cause."""

import random
import re
from pathlib import Path

import pytest
from support.imports import import_files
from support.stores import opened

from badge_reader.number import candidates
from edged.columns import PRIVATE
from edged.tables import ImportRefused, read
from mqtt.identity import badge_hash

KEY = b"the site's key"
CAPTURES = Path(__file__).parents[1] / "captures/csv"
MEMBERS = "badge;id;first_name;verdict\n0420001234004;12;Zoé;ok\n"
PRODUCTS = "id;name;price;barcode\n1;Pêches;2,95;2112345000008\n"


async def taken(folder, content, encoding=None):
    """The products' names, or the first names' directory count, of one file."""
    file = folder / "file.csv"
    file.write_bytes(content)
    async with opened(folder / "store") as store:
        imported = await import_files(store, [file], KEY, encoding=encoding)
        catalogue = store.catalogue.current.get()
        return imported, catalogue.products if catalogue else (), store.directory


async def refusal(folder, content, encoding=None):
    file = folder / "file.csv"
    file.write_bytes(content)
    async with opened(folder / "store") as store:
        with pytest.raises(ImportRefused) as refused:
            await import_files(store, [file], KEY, encoding=encoding)
    return [str(mistake).removeprefix(f"{file}") for mistake in refused.value.mistakes]


async def names(folder, content, encoding=None):
    _, products, _ = await taken(folder, content, encoding)
    return [product.name for product in products]


# --- letters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["cp1252", "mac-roman", "cp850", "iso8859-15"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
async def test_letters_of_every_system_are_read(tmp_path, encoding, ending):
    text = (PRODUCTS + "2;Céleri;1,20;2112346000007\n").replace("\n", ending)
    assert await names(tmp_path, text.encode(encoding)) == ["Pêches", "Céleri"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
async def test_unicode_is_read_with_and_without_its_mark(tmp_path, encoding):
    assert await names(tmp_path, PRODUCTS.encode(encoding)) == ["Pêches"]


async def test_a_produce_list_of_a_mac_has_its_letters(tmp_path):
    content = (CAPTURES / "mac.csv").read_bytes()
    assert await names(tmp_path, content) == ["ALFACE AMERICANA S\xa0O", "ALMEIRÃO PÃO"]


async def test_what_ms_dos_wrote_at_the_end_of_a_file_is_nothing(tmp_path):
    assert await names(tmp_path, PRODUCTS.encode("cp850") + b"\x1a") == ["Pêches"]


UNCLEAR = "id;name;price;barcode\n1;Pomme;2,95;2112345000008\n2;Iñaki;1;2112346000007\n"


async def test_unclear_letters_are_asked_about_with_the_word_as_each_system_reads_it(tmp_path):
    (told,) = await refusal(tmp_path, UNCLEAR.encode("mac-roman"))
    assert told.startswith(", line 3, name: ")
    assert "'Iñaki' with --encoding mac-roman (Mac)" in told
    assert "'Iûaki' with --encoding cp850 (MS-DOS)" in told
    assert await names(tmp_path, UNCLEAR.encode("mac-roman"), "mac-roman") == ["Pomme", "Iñaki"]


async def test_the_encoding_that_is_asked_for_does_not_spoil_a_utf_8_file(tmp_path):
    assert await names(tmp_path, PRODUCTS.encode(), "cp850") == ["Pêches"]


async def test_letters_in_a_badge_are_never_shown(tmp_path):
    content = b"badge;id;first_name;verdict\nDEADBEEF\xa0;12;Ana;ok\n"
    (told,) = await refusal(tmp_path, content)
    assert told.startswith(", line 2, badge: ")
    assert "--encoding cp1252 (Windows)" in told
    assert "BEEF" not in told


async def test_two_files_of_two_encodings_put_together_are_told(tmp_path):
    content = PRODUCTS.encode() + "2;Céleri;1,20;2112346000007\n".encode("cp1252")
    (told,) = await refusal(tmp_path, content)
    assert told.startswith(", line 3, name: this is not UTF-8 as other lines are")


async def test_a_file_that_says_utf_8_and_is_not_names_the_line(tmp_path):
    content = b"\xef\xbb\xbf" + PRODUCTS.encode("cp1252")
    (told,) = await refusal(tmp_path, content)
    assert told.startswith(", line 2: the file says that it is UTF-8")


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        (PRODUCTS.replace("Pêches", "PÃªches"), "line 2, name", "'Ãª' was one letter"),
        (PRODUCTS.replace("Pêches", "lâ€™ail"), "line 2, name", "was one letter"),
        (PRODUCTS.replace("Pêches", "P\ufffdches"), "line 2, name", "a letter was lost"),
        (PRODUCTS.replace("Pêches", "P\0ches"), "line 2, name", "(U+0000)"),
        (MEMBERS.replace("4004;", "4004\u200e;"), "line 2, badge", "(U+200E)"),
        (MEMBERS + "04A1B2C3;1\x07;A;ok\n", "line 3, id", "(U+0007)"),
        (MEMBERS.replace("id", "i\u00add"), "line 1, i·d", "(U+00AD)"),
        ("badge;0420001234004\x1b\n", "line 1, 04…·", "(U+001B)"),
    ],
)
async def test_damaged_characters_are_told_where_they_stand(tmp_path, text, place, why):
    told = await refusal(tmp_path, text.encode())
    assert any(one.startswith(f", {place}: ") and why in one for one in told), told
    assert not any("0420001234004" in one for one in told)


async def test_a_blank_line_that_is_no_text_is_nothing(tmp_path):
    assert await names(tmp_path, PRODUCTS.encode() + b"\xa0\n") == ["Pêches"]


def test_no_file_breaks_the_reader_or_shows_a_badge(tmp_path):
    chance = random.Random(1)
    texts = (MEMBERS, "sep=;\n" + PRODUCTS, MEMBERS.replace("badge;id;first_name;verdict\n", ""))
    files = [t.encode(e) for t in texts for e in ("utf-8", "cp1252", "cp850", "utf-16")]
    file = tmp_path / "file.csv"
    for _ in range(3000):
        content = bytearray(chance.choice(files))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(content))
            content[at : at + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 3))
        file.write_bytes(content)
        try:
            read(file, chance.choice([None, "cp850"]), PRIVATE)
        except ImportRefused as refused:
            assert "0420001234004" not in str(refused)  # noqa: PT017


# --- the form --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;;", "sep=|", "sep=\t", "sep=,"]
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
async def test_the_line_for_excel_is_taken_for_what_it_is(tmp_path, first, encoding):
    separator = first.strip('"')[4]
    text = f"{first}\r\n" + PRODUCTS.replace("2,95", '"2,95"').replace(";", separator)
    assert await names(tmp_path, text.encode(encoding)) == ["Pêches"]


async def test_lines_are_counted_with_the_line_for_excel(tmp_path):
    (told,) = await refusal(tmp_path, f"sep=;\n{PRODUCTS.replace('2,95', 'x')}".encode())
    assert told.startswith(", line 3, price: 'x' is not a price")
    told = await refusal(tmp_path, b"sep=;\nbadge;id;first_name;langage\n")
    assert all(one.startswith(", line 2, ") for one in told), told


@pytest.mark.parametrize(
    "content",
    [
        "0420001234004;12;Zoé;ok\n0420001234011;13;Léo;ok\n",
        "1;Pommes;2,95;2112345000008\n",
        "36;weight;ean13;21.....{NNDDD}\n",
        "id|name|price|barcode\n1|Pommes|2,95|2112345000008\n",
    ],
)
async def test_a_file_without_names_of_columns_is_told_once_and_shows_no_badge(tmp_path, content):
    (told,) = await refusal(tmp_path, content.encode())
    assert told.startswith(", line 1: the first line must name the columns")
    assert "0420001234004" not in told


async def test_a_badge_in_the_first_line_is_never_shown_whole(tmp_path):
    told = await refusal(tmp_path, b"badge;0420001234004;COOP_0012;verdict\n")
    assert any(", line 1, 04" in one for one in told)
    assert not any("0420001234004" in one or "COOP_0012" in one for one in told)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('1;"Pommes "Gala"";2,95;2112345000008', 'a double quote is written twice: ""'),
        ('1;"Pommes;2,95;2112345000008', "a double quote that is not closed"),
    ],
)
async def test_a_wrong_double_quote_is_told_for_what_it_is(tmp_path, line, why):
    (told,) = await refusal(tmp_path, f"id;name;price;barcode\n{line}\n".encode())
    assert told.startswith(", line 2: ")
    assert why in told


@pytest.mark.parametrize(
    "line", ['1;"Pommes ""Gala""";2,95;2112345000008', '1;Pain 12";2;2112345000008']
)
async def test_a_right_double_quote_is_taken(tmp_path, line):
    (name,) = await names(tmp_path, f"id;name;price;barcode\n{line}\n".encode())
    assert name in ('Pommes "Gala"', 'Pain 12"')


async def test_a_file_of_a_mac_with_decimal_commas_is_cut_at_its_semicolons(tmp_path):
    lines = "".join(
        f"{n};P;2,95;{code}\r" for n, code in ((1, "2112345000008"), (2, "2112346000007"))
    )
    assert await names(tmp_path, f"id;name;price;barcode\r{lines}".encode()) == ["P", "P"]


# --- headings and values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "heading",
    [
        "Badge;Identifiant;Prénom;Verdict;Langue",
        "N° de badge;identifiant;PRÉNOM;statut;langue",
        "Numéro de badge;Id;Prenom;verdict;Langue",
        "Nº de tarjeta;Identificador;Nombre;Estado;Idioma",
        "badge;id;First name;verdict;language",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "mac-roman"])
async def test_headings_of_members_are_understood_in_three_languages(tmp_path, heading, encoding):
    content = f"{heading}\n0420001234004;12;Zoé;ok;fr\n".encode(encoding)
    _, _, directory = await taken(tmp_path, content)
    assert directory.count == 1


@pytest.mark.parametrize(
    "heading",
    [
        "Identifiant;Numéro;Désignation;Prix;Code-barres;Catégorie;Tare;Détails",
        "id;Référence;Nom;Prix au kg;Code barre;Rayon;tare (g);Origine",
        "Identificador;Número;Nombre;Precio por kg;Código de barras;Categoría;Tara;Detalles",
        "id;number;name;price;barcode;category;tare_g;details",
    ],
)
async def test_headings_of_products_are_understood_in_three_languages(tmp_path, heading):
    content = f"{heading}\n1;104;Pêches;2,95 €/kg;2112345000008;Fruits;12;France\n".encode()
    _, (peach,), _ = await taken(tmp_path, content)
    assert (peach.number, peach.name, peach.price_cents_per_kg) == ("104", "Pêches", 295)
    assert (peach.category, peach.tare_g, peach.details) == ("Fruits", 12, "France")


async def test_one_column_under_two_names_is_told(tmp_path):
    told = await refusal(tmp_path, (MEMBERS.replace("id;", "id;Identifiant;", 1)).encode())
    assert told == [", line 1, id: this column is there twice"]


async def test_a_price_of_something_else_is_not_taken_for_that_of_a_kilogram(tmp_path):
    told = await refusal(tmp_path, PRODUCTS.replace("price", "price_100g").encode())
    assert "That is the price of a kilogram." in told[0]


@pytest.mark.parametrize(
    "price", ["2,95 €/kg", "2.95€ / kg", "2,95 EUR/kg", "2,95 € /kilo", "€2.95"]
)
async def test_a_price_may_say_that_it_is_of_a_kilogram(tmp_path, price):
    _, (peach,), _ = await taken(tmp_path, PRODUCTS.replace("2,95", price).encode())
    assert peach.price_cents_per_kg == 295


async def test_prices_that_look_like_cents_are_told(tmp_path):
    imported, _, _ = await taken(tmp_path, PRODUCTS.replace("2,95", "295").encode())
    assert [doubt.column for doubt in imported.doubts] == ["price"]
    imported, _, _ = await taken(tmp_path, PRODUCTS.replace("2,95", "59,90").encode())
    assert imported.doubts == ()


# --- badges ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "badge",
    ["004328", "1234567", "12345678901234567", "COOP_0012", '"069,23659"', "0401281997931", "A-7"],
)
async def test_a_badge_that_odoo_may_hold_is_taken_as_it_stands(tmp_path, badge):
    content = MEMBERS.replace("0420001234004", badge).encode()
    imported, _, directory = await taken(tmp_path, content)
    assert imported.members == 1
    shard = badge_hash(KEY, badge.strip('"'))
    assert directory.count == 1
    async with opened(tmp_path / "store") as store:
        assert store.directory.lookup([shard]) is not None
    # What a reader gives of it today is looked up by the same number.
    assert not candidates(badge.strip('"')) or badge.strip('"') in candidates(badge.strip('"'))


@pytest.mark.parametrize(
    "badge", ["4,2E+11", "4.2E+11", "420001234004.0", "069,2", "a/b", "é", "#N/A"]
)
async def test_what_a_spreadsheet_makes_of_a_badge_is_refused(tmp_path, badge):
    content = MEMBERS.replace("0420001234004", f'"{badge}"').encode()
    (told,) = await refusal(tmp_path, content)
    assert told.startswith(", line 2, badge: not a badge number")
    assert badge not in told


def members(*badges):
    lines = (f"{badge};{n};A;ok\n" for n, badge in enumerate(badges, 1))
    return ("badge;id;first_name;verdict\n" + "".join(lines)).encode()


async def test_leading_zeros_that_were_perhaps_lost_are_told_once(tmp_path):
    imported, _, _ = await taken(tmp_path, members("1234567890", "328122", "4328122"))
    (doubt,) = imported.doubts
    assert (doubt.line, doubt.column) == (3, "badge")
    assert "2 numbers" in doubt.message
    assert "as text" in doubt.message
    assert not re.search(r"\d{4}", doubt.message)


@pytest.mark.parametrize(
    "badges",
    [("1234567", "2345678"), ("0004328122", "1234567"), ("COOP_1", "COOP_0012"), ("04A1B2C3", "7")],
)
async def test_badges_that_lost_nothing_are_not_doubted(tmp_path, badges):
    imported, _, _ = await taken(tmp_path, members(*badges))
    assert imported.doubts == ()


async def test_a_wrong_check_digit_is_told_and_taken(tmp_path):
    imported, _, _ = await taken(tmp_path, members("0401281997931", "0420001234004"))
    (doubt,) = imported.doubts
    assert (imported.members, doubt.line, doubt.column) == (2, 2, "badge")
    assert "0401281997931" not in doubt.message


@pytest.mark.parametrize(
    "badge", ["0420001234004", "1234567", '"069,23659"', "COOP_0012", "04A1B2C3"]
)
@pytest.mark.parametrize("column", ["id", "kind", "verdict", "next_shift", "language"])
async def test_a_badge_in_a_wrong_column_is_not_shown_whole(tmp_path, badge, column):
    cells = {"badge": "7", "id": "1", "kind": "", "first_name": "A", "verdict": "ok"}
    cells |= {"next_shift": "", "language": "", column: badge}
    content = f"{';'.join(cells)}\n{';'.join(cells.values())}\n".encode()
    if (column, badge) == ("id", "1234567"):
        return  # which is a right number
    (told,) = await refusal(tmp_path, content)
    assert told.startswith(f", line 2, {column}: ")
    assert badge.strip('"') not in told
