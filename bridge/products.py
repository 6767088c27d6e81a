"""From Odoo's weighable products and barcode rules to the catalogue that scales sell from.

The one rule: a price is `Decimal(str(x))` rounded half up to the cent, never a float that was
calculated with; and a product which could be sold wrongly is left out and counted, never guessed.

All products are read each time. In Odoo 16 a new price touches only the template's `write_date`,
and price lists, taxes and categories touch none at all, while a shop has a few hundred of them.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bridge.config import ProductsTable
from bridge.odoo import Odoo
from bridge.profile import Profile
from bridge.wire import Rejected, conjunction
from devices.ean import valid_ean13
from mqtt.digest import catalogue_digest
from mqtt.messages import Catalogue, Product, Rule

log = logging.getLogger(__name__)

FINEST = Decimal("0.001")
"""A till that rounds quantities coarser than a gram charges another weight than the label's."""


MANY = 10
"""So many do not vanish at once: it is the rights, the company or a domain that changed."""
HIGHEST = 10**9
"""In units of money or kilograms: nothing real is above it, nor is what is no number at all."""


def cents(price: float) -> int:
    """1.005 → 101: what the number says in decimal, rounded half up."""
    return _whole(price, 100)


class Shelf:
    """The products of one site. `refresh` asks Odoo; `catalogue` is what it last knew.

    `profile` is one that has products.
    """

    def __init__(self, site: str, profile: Profile, table: ProductsTable, company: int | None):
        assert profile.product is not None
        assert profile.unit is not None
        assert profile.nomenclature is not None
        self._site = site
        self._product_names = profile.product
        self._unit_names = profile.unit
        self._nomenclature_names = profile.nomenclature
        self._table = table
        self._company = company
        self._units = {name.casefold() for name in table.units}
        self._said: dict[str, tuple[int, ...]] = {}
        self.catalogue: Catalogue | None = None
        self.left_out: dict[str, list[int]] = {}
        """Why → ids: unit (not sold by the kg), barcode (none, no EAN-13, or two have it), price
        (none, or senseless), tare (senseless), name (none)."""

    async def refresh(self, odoo: Odoo) -> None:
        """Raises `OdooError`; what was known then stays."""
        began = datetime.now(UTC)
        names = self._product_names
        fields = [names.name, names.number, names.barcode, names.price, names.unit, names.category]
        fields += [field for field in (names.tare, names.details) if field]
        domain = conjunction(names.domain, self._table.domain)
        rows = [row async for row in odoo.rows(names.model, domain, fields)]
        if not rows and self.catalogue and len(self.catalogue.products) >= MANY:
            raise Rejected(f"{names.model}: nothing is there any more; what was known is kept")
        conversion, rules = await self._rules(odoo)
        left_out: defaultdict[str, list[int]] = defaultdict(list)
        products = []
        codes = Counter(row[names.barcode] for row in rows)
        for row in rows:
            reason = self._reason(row)
            if not reason and codes[row[names.barcode]] > 1:
                reason = "barcode"  # at the till it is one of them, at whose price?
            if reason:
                left_out[reason].append(row["id"])
            else:
                products.append(self._product(row))
        await self._check_units(odoo, rows)
        self.left_out = dict(left_out)
        for reason, ids in self.left_out.items():
            self._say_once(reason, ids, "products left out for their %s: %s")
        self.catalogue = Catalogue(
            as_of=began,
            digest=catalogue_digest(products, rules, conversion),
            products=tuple(products),
            rules=tuple(rules),
            upc_ean_conv=conversion,
        )

    def _reason(self, row: Mapping[str, Any]) -> str:
        names = self._product_names
        unit = row[names.unit]
        if not unit or unit[1].strip().casefold() not in self._units:
            return "unit"
        if not valid_ean13(row[names.barcode] or ""):
            return "barcode"
        if not 0 < (row[names.price] or 0) <= HIGHEST or cents(row[names.price]) == 0:
            return "price"
        if names.tare and not 0 <= (row[names.tare] or 0) <= HIGHEST:
            return "tare"
        if not str(row[names.name] or "").strip():
            return "name"
        return ""

    def _product(self, row: Mapping[str, Any]) -> Product:
        names = self._product_names
        category = row[names.category]
        return Product(
            id=row["id"],
            name=row[names.name],
            number=row[names.number] or "",
            price_cents_per_kg=cents(row[names.price]),
            barcode=row[names.barcode],
            category=category[1].rpartition(" / ")[2] if category else "",
            tare_g=_whole(row[names.tare] or 0, 1000) if names.tare else 0,
            details=(row[names.details] or "") if names.details else "",
        )

    async def _rules(self, odoo: Odoo) -> tuple[Any, list[Rule]]:
        """The nomenclature of our company: the one the till uses."""
        names = self._nomenclature_names
        company = self._company
        if company is None:
            own = await odoo.call("res.users", "read", [await odoo.user()], ["company_id"])
            company = own[0]["company_id"][0]
        of_company = [[names.company or "id", "=", company]]
        holders = await odoo.call(names.holder, "search_read", of_company, fields=[names.field])
        held = {holder[names.field][0] for holder in holders if holder[names.field]}
        if len(held) != 1:
            number = "more than one" if held else "no"
            raise Rejected(f"{names.holder}: company {company} has {number} barcode nomenclature")
        (nomenclature,) = held
        read = await odoo.call(names.model, "read", [nomenclature], [names.conversion])
        rules = await odoo.call(
            names.rules,
            "search_read",
            [[names.rule_of, "=", nomenclature]],
            fields=["sequence", "type", "encoding", "pattern"],
            order="sequence, id",
        )
        told = [
            Rule(
                sequence=rule["sequence"],
                type=rule["type"],
                encoding=rule["encoding"],
                pattern=rule["pattern"],
            )
            for rule in rules
        ]
        return read[0][names.conversion], told

    async def _check_units(self, odoo: Odoo, rows: list[dict[str, Any]]) -> None:
        names = self._unit_names
        used = {row[self._product_names.unit][0] for row in rows if not self._reason(row)}
        units = await odoo.call(names.model, "read", sorted(used), [names.rounding]) if used else []
        coarse = [u["id"] for u in units if Decimal(str(u[names.rounding])) > FINEST]
        if coarse:
            self._say_once("rounding", coarse, "a unit's %s is coarser than a gram: %s")

    def _say_once(self, what: str, ids: list[int], sentence: str) -> None:
        if self._said.get(what) != tuple(ids):
            self._said[what] = tuple(ids)
            log.warning("%s: " + sentence, self._site, what, ids)


def _whole(number: float, times: int) -> int:
    return int((Decimal(str(number)) * times).quantize(Decimal(1), ROUND_HALF_UP))
