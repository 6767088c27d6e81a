"""The left half of the scale's screen: how somebody finds a product in a few taps.

The one rule: never more than twelve things, never a scroll bar. Three ways in are always there:
what is weighed often, one level of categories, and the number or name.
"""

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Final

from mqtt.messages import Catalogue, Product

OFTEN: Final = "often"
SEARCH: Final = "search"
OTHERS: Final = "others"
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
DIGITS: Final = "1234567890"
_TILES = 12
_FOUND = 6
_TABS = 3
_NEXT_LETTERS = 10
_LONGEST = 20
_LONG_WORD = 10


def plain(text: str) -> str:
    """Lower case without accents: ``Pâtes`` → ``pates``, ``Œufs`` → ``oeufs``."""
    spelled = text.lower().replace("œ", "oe").replace("æ", "ae")
    return "".join(c for c in unicodedata.normalize("NFD", spelled) if not unicodedata.combining(c))


@dataclass(frozen=True, slots=True)
class Tab:
    """`key` is what a tap sends; `name` is a category's own name, "" for the three of ours."""

    key: str
    name: str
    chosen: bool

    @property
    def long(self) -> bool:
        """Whether a word of it may have to be broken."""
        return any(len(word) > _LONG_WORD for word in self.name.split())


@dataclass(frozen=True, slots=True)
class Tile:
    product: int
    name: str
    number: str
    cents_per_kg: int
    band: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class ShelfView:
    """What to draw. `keys`: the keypad's keys, none when there is no keypad."""

    tabs: tuple[Tab, ...]
    tiles: tuple[Tile, ...] = ()
    categories: tuple[Tab, ...] = ()
    keys: tuple[str, ...] = ()
    query: str = ""
    searching: bool = False
    page: int = 0
    pages: int = 1


class Shelf:
    """Where somebody is among the products. Knows no scale."""

    def __init__(self) -> None:
        self._products: tuple[Product, ...] = ()
        self._categories: tuple[str, ...] = ()
        self._weighed: Counter[int] = Counter()
        self._often: tuple[Product, ...] = ()
        self.tab = OFTEN
        self.query = ""
        self._letters = False
        self._page = 0

    def stock(self, catalogue: Catalogue | None) -> None:
        """Take a new catalogue; stay where the person is if it still has that place."""
        self._products = catalogue.products if catalogue else ()
        self._categories = tuple(dict.fromkeys(p.category for p in self._products if p.category))
        if self.tab not in (OFTEN, SEARCH, OTHERS, *map(_category_key, self._categories)):
            self.tab = OFTEN
        self._sort()

    def reset(self) -> None:
        """Back to the first page. Only here do the tiles change places."""
        self.tab = OFTEN
        self.query = ""
        self._letters = False
        self._page = 0
        self._sort()

    @property
    def at_start(self) -> bool:
        return self.tab == OFTEN and not self.query and self._page == 0

    def count(self, product: int) -> None:
        """One more label for this product."""
        self._weighed[product] += 1

    def find(self, product: int) -> Product | None:
        return next((p for p in self._products if p.id == product), None)

    def open(self, tab: str) -> None:
        self.reset()
        self.tab = tab if tab in {t.key for t in self._tabs()} | self._hidden() else OFTEN

    def turn(self) -> None:
        """The next page of tiles; after the last comes the first."""
        self._page += 1

    def key(self, key: str) -> None:
        """One key of the keypad: a digit, a letter, or a word (``abc``, ``123``, ``back``)."""
        if key == "back":
            self.query = self.query[:-1]
        elif key in ("abc", "123"):
            self._letters, self.query = key == "abc", ""
        elif len(key) == 1 and key in LETTERS + DIGITS + " " and len(self.query) < _LONGEST:
            self.query = self.query + key
        self._page = 0

    def view(self, chosen: int | None) -> ShelfView:
        tabs = self._tabs()
        if self.tab == OTHERS:
            hidden = [Tab(_category_key(c), c, chosen=False) for c in self._categories[_TABS - 1 :]]
            return ShelfView(tabs, categories=tuple(hidden[:_TILES]))
        if self.tab == SEARCH:
            found = self._search() if self.query or not self._letters else ()
            tiles = self._tiles(found[:_FOUND], chosen)
            return ShelfView(
                tabs, tiles=tiles, keys=self._keys(found), query=self.query, searching=True
            )
        products = self._often
        if self.tab != OFTEN:
            products = tuple(p for p in self._products if _category_key(p.category) == self.tab)
        if len(products) <= _TILES:
            return ShelfView(tabs, tiles=self._tiles(products, chosen))
        room = _TILES - 1
        pages = -(-len(products) // room)
        page = self._page % pages
        part = products[page * room : (page + 1) * room]
        return ShelfView(tabs, tiles=self._tiles(part, chosen), page=page, pages=pages)

    def _sort(self) -> None:
        often = sorted(self._products, key=lambda p: -self._weighed[p.id])
        self._often = tuple(often[:_TILES])

    def _hidden(self) -> set[str]:
        return {_category_key(c) for c in self._categories}

    def _tabs(self) -> tuple[Tab, ...]:
        if len(self._categories) <= _TABS:
            shown, others = self._categories, False
        else:
            shown, others = self._categories[: _TABS - 1], True
        keys = [(OFTEN, ""), *((_category_key(c), c) for c in shown)]
        if others:
            keys.append((OTHERS, ""))
        keys.append((SEARCH, ""))
        named = {key for key, _ in keys}
        here = self.tab if self.tab in named else OTHERS
        return tuple(Tab(key, name, chosen=key == here) for key, name in keys)

    def _tiles(self, products: tuple[Product, ...], chosen: int | None) -> tuple[Tile, ...]:
        return tuple(
            Tile(
                p.id,
                p.name,
                p.number,
                p.price_cents_per_kg,
                self._categories.index(p.category) % 8 if p.category else 8,
                chosen=p.id == chosen,
            )
            for p in products
        )

    def _search(self) -> tuple[Product, ...]:
        """Numbers that begin so; or names with a word that begins so, best first."""
        query = plain(self.query)
        if not query:
            return self._often
        if query.isdigit():
            return tuple(p for p in self._products if p.number.startswith(query))
        starts = [p for p in self._products if plain(p.name).startswith(query)]
        within = [p for p in self._products if p not in starts and f" {query}" in plain(p.name)]
        return (*starts, *within)

    def _keys(self, found: tuple[Product, ...]) -> tuple[str, ...]:
        if not self._letters:
            return (*DIGITS[:9], "abc", "0", "back")
        if not self.query:
            return (*LETTERS, "123", "back")
        query = plain(self.query)
        following: Counter[str] = Counter()
        for product in found:
            name = " " + plain(product.name)
            at = name.find(" " + query)
            rest = name[at + 1 + len(query) :] if at >= 0 else ""
            if rest and rest[0] in LETTERS + DIGITS + " ":
                following[rest[0]] += 1
        likely = sorted(letter for letter, _ in following.most_common(_NEXT_LETTERS))
        return (*likely, "abc", "back")


def _category_key(category: str) -> str:
    return f"in {category}"
