"""Odoo's weighable products and barcode rules become a catalogue."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge import profile
from bridge.config import ProductsTable
from bridge.odoo import Odoo
from bridge.products import Shelf, cents
from bridge.standin import StandIn
from bridge.standin.demo import KG, NAME, PASSWORD, PRODUCTS, RULES, add_product, stock
from bridge.wire import Rejected
from bridge.wire.jsonrpc import JsonRpc
from mqtt.messages import Product


@pytest.mark.parametrize(
    ("price", "expected"),
    [(2.95, 295), (1.005, 101), (0.285, 29), (14.9, 1490), (2.675, 268), (0.1 + 0.2, 30), (3, 300)],
)
def test_prices_are_what_the_number_says(price: float, expected: int) -> None:
    assert cents(price) == expected


@pytest.fixture(params=[16, 18, 19])
async def standin(request: pytest.FixtureRequest) -> AsyncIterator[StandIn]:
    async with StandIn(stock(request.param)) as standin:
        yield standin


@pytest.fixture
async def odoo(standin: StandIn) -> AsyncIterator[Odoo]:
    odoo = Odoo("demo", JsonRpc(standin.url, NAME, "bridge", lambda: PASSWORD))
    yield odoo
    await odoo.close()


def shelf(**table: Any) -> Shelf:
    return Shelf("demo", profile.load("stock"), ProductsTable(**table), None)


def by_number(products: tuple[Product, ...], number: str) -> Product:
    return next(product for product in products if product.number == number)


async def test_the_whole_shelf(odoo: Odoo) -> None:
    told = shelf()
    await told.refresh(odoo)
    catalogue = told.catalogue
    assert catalogue is not None
    assert len(catalogue.products) == len(PRODUCTS)
    apples = by_number(catalogue.products, "104")
    assert (apples.name, apples.price_cents_per_kg, apples.category) == (
        "Pommes Gala",
        295,
        "Fruits",
    )
    assert apples.barcode == "2100104000000"
    assert [rule.pattern for rule in catalogue.rules] == [rule[4] for rule in RULES]
    assert catalogue.upc_ean_conv == "always"
    assert set(told.left_out) == {"unit"}


async def test_a_new_price_changes_the_digest_in_every_version(
    standin: StandIn, odoo: Odoo
) -> None:
    told = shelf()
    await told.refresh(odoo)
    first = told.catalogue
    await told.refresh(odoo)
    assert first is not None
    assert told.catalogue is not None
    assert told.catalogue.digest == first.digest
    assert told.catalogue.as_of > first.as_of
    with standin.database.transaction():
        standin.database.write("product.template", [1], {"list_price": 3.0})
    await told.refresh(odoo)
    assert told.catalogue.digest != first.digest
    assert by_number(told.catalogue.products, "104").price_cents_per_kg == 300


async def test_what_could_be_sold_wrongly_is_left_out(standin: StandIn, odoo: Odoo) -> None:
    db = standin.database
    with db.transaction():
        bad = add_product(db, "Bad code", "900", 1.0, 1, barcode="2100900000000")
        free = add_product(db, "Free", "901", 0.0, 1, barcode="2100901000005")
        db.write("uom.uom", [KG], {"rounding": 0.01})
    told = shelf(domain=[["default_code", "!=", "547"]])
    await told.refresh(odoo)
    assert told.catalogue is not None
    assert len(told.catalogue.products) == len(PRODUCTS) - 1
    assert told.left_out["barcode"] == [bad]
    assert told.left_out["price"] == [free]


@pytest.mark.parametrize(
    ("price", "sold"),
    [(-1.0, 0), (0.004, 0), (0.005, 1), (float("nan"), 0), (float("inf"), 0), (1e30, 0)],
)
async def test_an_odd_price_is_that_products_trouble_alone(
    standin: StandIn, odoo: Odoo, price: float, sold: int
) -> None:
    db = standin.database
    with db.transaction():
        odd = add_product(db, "Odd", "901", 1.0, 1, barcode="2100901000005")
        template = db.tables["product.product"][odd]["product_tmpl_id"]
    db.tables["product.template"][template]["list_price"] = price
    told = shelf()
    await told.refresh(odoo)
    assert told.catalogue is not None
    assert len(told.catalogue.products) == len(PRODUCTS) + sold
    assert told.left_out.get("price", []) == ([] if sold else [odd])


async def test_two_products_under_one_code_are_neither_of_them(
    standin: StandIn, odoo: Odoo
) -> None:
    db = standin.database
    with db.transaction():
        first = add_product(db, "Kept", "901", 1.0, 1, barcode="2100901000005")
        second = add_product(db, "Other", "902", 2.0, 1, barcode="2100902000002")
    db.tables["product.product"][second]["barcode"] = "2100901000005"
    told = shelf()
    await told.refresh(odoo)
    assert told.catalogue is not None
    assert len(told.catalogue.products) == len(PRODUCTS)
    assert told.left_out["barcode"] == [first, second]


async def test_a_product_without_a_name_is_left_out(standin: StandIn, odoo: Odoo) -> None:
    db = standin.database
    db.tables["product.template"][1]["name"] = None
    told = shelf()
    await told.refresh(odoo)
    assert told.catalogue is not None
    assert len(told.catalogue.products) == len(PRODUCTS) - 1
    assert told.left_out["name"] == [1]


async def test_an_empty_shelf_is_not_believed_at_once(standin: StandIn, odoo: Odoo) -> None:
    told = shelf()
    await told.refresh(odoo)
    before = told.catalogue
    for row in standin.database.tables["product.template"].values():
        row["sale_ok"] = False
    with pytest.raises(Rejected, match="nothing is there any more"):
        await told.refresh(odoo)
    assert told.catalogue is before


async def test_no_nomenclature_no_catalogue(standin: StandIn, odoo: Odoo) -> None:
    with standin.database.transaction():
        standin.database.write("res.company", [1], {"nomenclature_id": False})
    told = shelf()
    with pytest.raises(Rejected, match="nomenclature"):
        await told.refresh(odoo)
    assert told.catalogue is None
