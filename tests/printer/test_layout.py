"""Labels as they come out of the head: everything in its place, and bars that a scanner reads."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops
from support.bars import check_digit, read_ean13
from support.labels import APPLES, CARROTS

from printer import Label, NotPrinted
from printer.fonts import Faces, dejavu_sans, dejavu_sans_mono, faces
from printer.layout import Box, Plan, Sheet, draw, plan

SHEETS = [Sheet.of(203, 464), Sheet.of(203, 384), Sheet.of(180, 512), Sheet.of(203, 360)]
FACES = [dejavu_sans_mono(), faces()]

texts = st.text(max_size=80) | st.text(
    st.sampled_from("ABCÉŒÊçñgjpqWi,.·° \u00a0…0123456789€/kgẾ🍎"), max_size=120
)
codes = st.from_regex("[0-9]{12}", fullmatch=True).map(lambda code: code + check_digit(code))


@st.composite
def labels(draw: st.DrawFn) -> Label:
    """Names, origins and addresses of any kind; figures as shops write them, and worse."""
    kilos = st.integers(0, 99_999).map(lambda grams: f"{grams // 1000},{grams % 1000:03}\u00a0kg")
    euros = st.integers(0, 99_999).map(lambda cents: f"{cents // 100},{cents % 100:02}\u00a0€")
    return Label(
        title=draw(texts),
        number=draw(st.sampled_from(["", "n° 7", "n° 104", "n° 99999"])),
        details=draw(texts),
        weights=f"Net\u00a0{draw(kilos)}   Tare\u00a0{draw(kilos)}   {draw(euros)}/kg",
        barcode=draw(codes),
        price=draw(euros | st.just("")),
        price_note=draw(st.sampled_from(["", "prix indicatif", "precio indicativo"]) | texts),
        footer=draw(texts),
    )


def boxes(layout: Plan) -> list[Box]:
    return [text.box for text in layout.texts] + [layout.bars.zone]


def written(label: Label, sheet: Sheet, fonts: Faces | None = None) -> list[str]:
    return [text.text for text in plan(label, sheet, fonts).texts]


def ink(picture: Image.Image) -> Box | None:
    box = ImageChops.invert(picture.convert("L")).getbbox()
    return Box(*box) if box else None


@pytest.mark.parametrize("fonts", FACES, ids=["mono", "here"])
@pytest.mark.parametrize("sheet", SHEETS, ids=str)
@given(label=labels())
def test_nothing_leaves_the_label_or_touches_its_neighbours(
    label: Label, sheet: Sheet, fonts: Faces
) -> None:
    layout = plan(label, sheet, fonts)
    for box in boxes(layout):
        assert 0 <= box.left <= box.right <= sheet.width
        assert 0 <= box.top < box.bottom <= sheet.height
    for one, other in combinations(boxes(layout), 2):
        assert not one.touches(other), (one, other, layout)
    for text in layout.texts:
        assert text.pen.capital >= 2 / 25.4 * sheet.dpi
        assert text.pen.tile(text.text).size == (
            text.box.right - text.box.left,
            text.box.bottom - text.box.top,
        )
    assert layout.bars.box.bottom - layout.bars.box.top >= 7 / 25.4 * sheet.dpi
    assert layout.bars.module >= 2


@pytest.mark.parametrize("sheet", SHEETS, ids=str)
@given(label=labels())
def test_the_picture_scans(label: Label, sheet: Sheet) -> None:
    bars = plan(label, sheet).bars
    # The beam crosses the label where the price stands: it may not get near the bars.
    picture = draw(label, sheet).crop((0, 0, bars.zone.right, sheet.height))
    for row in (bars.box.top, (bars.box.top + bars.box.bottom) // 2, bars.box.bottom - 1):
        assert read_ean13(picture, row) == label.barcode


@given(
    label=st.builds(Label, texts, texts, texts, texts, codes | texts, texts, texts, texts),
    sheet=st.sampled_from(SHEETS),
)
def test_any_text_at_all_is_printed_whole_or_refused(label: Label, sheet: Sheet) -> None:
    try:
        layout = plan(label, sheet)
    except NotPrinted as refused:
        key, sure = refused.key, refused.sure
    else:
        key, sure = "", True
    assert sure
    assert key in ("", "printer.barcode_wrong", "printer.label_too_long")
    if key:
        return
    for one, other in combinations(boxes(layout), 2):
        assert not one.touches(other)
    lines = written(label, sheet)
    clean = layout.texts[0].pen.clean
    assert clean(label.price) in ["", *lines]
    assert clean(label.number) in ["", *lines]


def test_the_name_is_the_largest_thing_on_it() -> None:
    for sheet in SHEETS:
        layout = plan(APPLES, sheet)
        title = next(text for text in layout.texts if text.text.startswith("POMMES"))
        assert all(text.pen.capital <= title.pen.capital for text in layout.texts)


def test_the_figures_stand_on_it_whole() -> None:
    lines = written(APPLES, SHEETS[0])
    for figure in ("Net 0,482 kg", "Tare 0,126 kg", "2,95 €/kg", "1,42 €", "n° 104"):
        assert figure.replace(" ", "\u00a0") in lines or figure in lines
    assert "2 100104 004824" in lines


def test_the_date_stays_when_the_address_is_long() -> None:
    footer = "La Coop des Trois Rivières, 118 avenue du Général · 20/11/2026 18:42 · B1"
    lines = written(replace(APPLES, footer=footer), SHEETS[0])
    assert any(line.endswith("… · 20/11/2026 18:42 · B1") for line in lines)


def test_a_long_name_shrinks_then_wraps_then_ends_in_dots() -> None:
    def name(title: str) -> list[tuple[str, int]]:
        layout = plan(replace(APPLES, title=title, number=""), SHEETS[0])
        lines = [text for text in layout.texts if text.text.replace("…", "") in title]
        return [(line.text, line.pen.capital) for line in lines]

    (short,) = name("Ail")
    (longer,) = name("Pommes Royal Gala")
    assert longer[1] < short[1]
    first, second = name("Farine de châtaigne d'Ardèche biologique")
    assert f"{first[0]} {second[0]}" == "Farine de châtaigne d'Ardèche biologique"
    *_, cut = name("Farine de châtaigne d'Ardèche biologique moulue à la meule de pierre bleue")
    assert cut[0].endswith("…")


@pytest.mark.parametrize("sheet", SHEETS, ids=str)
@pytest.mark.parametrize("note", ["precio indicativo", "precio meramente indicativo", "0" * 14])
def test_the_fullest_label_has_room_for_the_price(note: str, sheet: Sheet) -> None:
    """Weights and note on two lines each, a footer, and a name that just fits one line."""
    full = replace(
        APPLES,
        title="Farine de châtaigne",
        weights="Net\u00a010,482\u00a0kg   Tare\u00a00,126\u00a0kg   102,95\u00a0€/kg",
        price="1079,12\u00a0€",
        price_note=note,
    )
    assert "1079,12\u00a0€" in written(full, sheet)


def test_figures_that_do_not_fit_are_not_cut_short() -> None:
    for wrong in (
        replace(APPLES, price="1" * 40),
        replace(APPLES, weights="Net " + "1" * 60),
        replace(APPLES, number="1" * 40),
    ):
        with pytest.raises(NotPrinted, match=r"printer\.label_too_long") as refused:
            draw(wrong, SHEETS[0])
        assert refused.value.sure


@pytest.mark.parametrize(
    "code", ["", "210010400482", "2100104004825", "21001040048249", "abc", "²" * 13]
)
def test_a_wrong_bar_code_is_not_printed(code: str) -> None:
    with pytest.raises(NotPrinted, match=r"printer\.barcode_wrong"):
        draw(replace(APPLES, barcode=code), SHEETS[0])


@pytest.mark.parametrize("fonts", FACES, ids=["mono", "here"])
def test_french_and_spanish_letters_are_drawn(fonts: Faces) -> None:
    """None is the box that a font draws for what it lacks, and none is blank."""
    sheet = SHEETS[0]
    blank = draw(replace(CARROTS, title=""), sheet, fonts)
    seen = []
    for letter in "éèêëàâçîïôùûüÿœŒÉÀÇñÑ¿¡áíóú€°«»–’…":
        label = replace(CARROTS, title=letter)
        assert letter in written(label, sheet, fonts)
        picture = draw(label, sheet, fonts)
        assert ink(ImageChops.difference(picture.convert("L"), blank.convert("L"))) is not None
        seen.append(picture.tobytes())
    assert len(set(seen)) == len(seen)


def test_characters_the_font_lacks_leave_no_boxes() -> None:
    label = replace(CARROTS, title="Pommes 🍎 \x00\x1b@\ud83c 苹果")
    assert "Pommes @" in written(label, SHEETS[0], dejavu_sans_mono())


def test_a_line_feed_in_a_name_is_a_space() -> None:
    assert "Noix de Grenoble" in written(replace(CARROTS, title="Noix\nde\tGrenoble "), SHEETS[0])


def test_the_sheet_follows_the_head() -> None:
    assert Sheet.of(203, 464) == Sheet(464, 320, 203)
    assert Sheet.of(203, 832).width == 464  # an 80 or 104 mm head prints no wider than the label
    assert Sheet.of(203, 384).width == 384
    assert Sheet.of(180, 512) == Sheet(408, 283, 180)


def test_a_machine_without_dejavu_sans_prints_in_the_font_of_python_barcode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("printer.fonts.dejavu_sans", lambda: Faces("/nowhere", "/nowhere", 0))
    assert faces.__wrapped__() == dejavu_sans_mono()
    monkeypatch.undo()
    assert dejavu_sans().stroke == 0
