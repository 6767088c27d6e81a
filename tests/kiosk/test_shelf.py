import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.screens import PRODUCTS, catalogue, product

from kiosk.shelf import OFTEN, OTHERS, SEARCH, Shelf, plain


def stocked(**more: object) -> Shelf:
    shelf = Shelf()
    shelf.stock(catalogue(**more))
    return shelf


def names(shelf: Shelf) -> list[str]:
    return [tile.name for tile in shelf.view(None).tiles]


def typed(shelf: Shelf, text: str) -> list[str]:
    shelf.open(SEARCH)
    if not text[0].isdigit():
        shelf.key("abc")
    for letter in text:
        shelf.key(letter)
    return names(shelf)


def test_the_first_page_has_twelve_tiles_and_the_categories() -> None:
    view = stocked().view(None)
    assert len(view.tiles) == 12
    assert [tab.name or tab.key for tab in view.tabs] == [
        OFTEN, "Fruits", "Légumes", "Vrac sec", SEARCH,
    ]  # fmt: skip


def test_what_is_weighed_often_comes_first_but_only_after_a_rest() -> None:
    shelf = stocked()
    shelf.count(541)
    assert names(shelf)[0] == "Pommes Gala"
    shelf.reset()
    assert names(shelf)[0] == "Abricots secs moelleux dénoyautés"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pates", ["Pâtes"]),
        ("10", ["Pommes Gala"]),
        ("5", ["Lentilles vertes", "Riz complet", "Amandes", "Pâtes", "Pois chiches",
               "Abricots secs moelleux dénoyautés"]),
        ("vert", ["Lentilles vertes"]),
        ("po", ["Pommes Gala", "Pois chiches"]),
        ("zzz", []),
    ],
)  # fmt: skip
def test_search_by_number_or_by_the_start_of_a_word(text: str, found: list[str]) -> None:
    assert typed(stocked(), text) == found


def test_letters_that_can_follow_are_offered() -> None:
    shelf = stocked()
    shelf.open(SEARCH)
    assert shelf.view(None).keys[:3] == ("1", "2", "3")
    shelf.key("abc")
    assert shelf.view(None).keys[:26] == tuple(string.ascii_lowercase)
    shelf.key("p")
    assert shelf.view(None).keys == ("a", "o", "abc", "back")
    shelf.key("back")
    assert len(shelf.view(None).keys) == 28


def test_a_category_of_many_is_turned_over() -> None:
    many = tuple(product(n, f"Thé {n}", 100, "Thés") for n in range(1, 31))
    shelf = stocked(products=many)
    shelf.open("in Thés")
    seen = []
    for page in range(3):
        view = shelf.view(None)
        assert (view.page, view.pages) == (page, 3)
        seen += [tile.product for tile in view.tiles]
        shelf.turn()
    assert seen == list(range(1, 31))
    assert shelf.view(None).page == 0


def test_more_categories_than_tabs_are_one_tap_further() -> None:
    many = tuple(product(n, f"P {n}", 100, f"Rayon {n}") for n in range(1, 7))
    shelf = stocked(products=many)
    assert [tab.key for tab in shelf.view(None).tabs] == [
        OFTEN, "in Rayon 1", "in Rayon 2", OTHERS, SEARCH,
    ]  # fmt: skip
    shelf.open(OTHERS)
    assert [tab.name for tab in shelf.view(None).categories] == [f"Rayon {n}" for n in range(3, 7)]
    shelf.open("in Rayon 5")
    assert names(shelf) == ["P 5"]
    assert [tab.key for tab in shelf.view(None).tabs if tab.chosen] == [OTHERS]


def test_a_category_that_is_gone_leads_back() -> None:
    shelf = stocked()
    shelf.open("in Fruits")
    shelf.stock(catalogue(products=PRODUCTS[1:2]))
    assert shelf.tab == OFTEN
    shelf.open("in Nowhere")
    assert shelf.tab == OFTEN


def test_accents_do_not_count() -> None:
    assert plain("Œufs, Pâtes À l’ÉPEAUTRE") == "oeufs, pates a l’epeautre"


@given(st.lists(st.text(max_size=6), max_size=40))
def test_whatever_is_tapped_there_are_never_more_than_twelve_things(taps: list[str]) -> None:
    shelf = stocked()
    for tap in taps:
        shelf.open(SEARCH)
        shelf.key(tap)
        view = shelf.view(None)
        assert len(view.tiles) <= 12
        assert len(view.query) <= 20
