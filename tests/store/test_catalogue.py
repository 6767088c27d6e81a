"""The catalogue that a station keeps, and what becomes of one that is not understood."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.damage import change
from support.stores import catalogue, opened, product, rule

from durable.sqlite import checksum
from mqtt.messages import Catalogue
from store.opening import FILE

LEEKS = product("2100104000005", 1)
PLUMS = product("2100105000004", 2)
RULE = rule("21.....{NNDDD}")


def otherwise(folder: Path, body: str) -> None:
    """What an earlier or later version put there, which this one does not understand."""
    sql = "UPDATE document SET body = ?, sum = ? WHERE name = 'catalogue'"
    assert change(folder / FILE, sql, body, checksum(body.encode())) == 1


async def test_a_catalogue_is_kept_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert store.catalogue.current.get() is None
        await store.catalogue.replace(catalogue())
        await store.catalogue.replace(catalogue(LEEKS, PLUMS, rules=(RULE,)))
        assert store.catalogue.current.get() == catalogue(LEEKS, PLUMS, rules=(RULE,))
    async with opened(tmp_path) as store:
        assert store.catalogue.current.get() == catalogue(LEEKS, PLUMS, rules=(RULE,))


@pytest.mark.parametrize("body", ["not json", "{}", '{"as_of": "yesterday", "products": []}'])
async def test_a_catalogue_that_is_not_understood_is_no_catalogue(
    tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as store:
        await store.catalogue.replace(catalogue(LEEKS))
    otherwise(tmp_path, body)
    async with opened(tmp_path) as store:
        assert store.catalogue.current.get() is None
        assert [record.getMessage().split(":")[1] for record in caplog.records] == [
            " the catalogue is not understood and counts as not there"
        ]
        await store.catalogue.replace(catalogue(PLUMS))
    async with opened(tmp_path) as store:
        assert store.catalogue.current.get() == catalogue(PLUMS)


def written(*changes: dict[str, object]) -> dict[str, object]:
    whole: dict[str, object] = json.loads(catalogue(LEEKS, PLUMS, rules=(RULE,)).model_dump_json())
    products = whole["products"]
    assert isinstance(products, list)
    for one, wrong in zip(products, changes, strict=False):
        one.update(wrong)
    return whole


async def test_one_product_that_is_not_understood_costs_that_product(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.catalogue.replace(catalogue(LEEKS))
    otherwise(tmp_path, json.dumps(written({"price_cents_per_kg": {"member": 200}})))
    async with opened(tmp_path) as store:
        assert store.catalogue.current.get() == catalogue(PLUMS, rules=(RULE,))


def test_a_catalogue_of_which_no_product_is_understood_is_not_understood() -> None:
    """Else an upgrade would empty the scale's screen and nothing would be asked for."""
    unknown = {"number": None}
    with pytest.raises(ValidationError):
        Catalogue.model_validate(written(unknown, unknown))
    assert Catalogue.model_validate(written() | {"products": []}).products == ()


def test_a_rule_that_is_not_understood_costs_the_catalogue() -> None:
    """Which rule a barcode follows depends on those before it."""
    with pytest.raises(ValidationError):
        Catalogue.model_validate(written() | {"rules": [{"sequence": 1}]})
