"""From a weight and a product to the label: grams, cents, barcode, words.

The one rule: integers and half-up cents only, the same number as the till's; the barcode is tried
against the till's own rules before anything is printed.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kiosk.station import Station
from kiosk.words import money, price, say, stamp, weight
from mqtt.messages import Catalogue, LabelData, Product
from printer import Label
from store.nomenclature import label_code

Action = Literal["print", "reprint", "void"]
Mode = Literal["scale-prices", "certified-peripheral", "indicative"]


def cents_of(cents_per_kg: int, grams: int) -> int:
    """Half-up, as the till rounds a line: 295 c/kg × 482 g = 142 c."""
    return (cents_per_kg * grams + 500) // 1000


@dataclass(frozen=True, slots=True)
class Ticket:
    """One label to be: what it will say and what the fact will say, worked out once."""

    id: str
    product: Product
    net_g: int
    tare_g: int
    cents: int
    mode: Mode
    barcode: str
    code: str
    """The digits that tell the till the product, for a cashier to type."""

    @property
    def shown_cents(self) -> int | None:
        """None where the approved scale computes the price: ours would be a second truth."""
        return None if self.mode == "scale-prices" else self.cents

    def fact(
        self,
        action: Action,
        *,
        printer: str,
        scale: str,
        why: str = "",
    ) -> LabelData:
        return LabelData(
            action=action,
            label=self.id,
            device=printer,
            scale=scale,
            product=self.product.id,
            barcode=self.barcode,
            net_g=self.net_g,
            tare_g=self.tare_g,
            price_cents_per_kg=self.product.price_cents_per_kg,
            price_cents=self.shown_cents,
            mode=self.mode,
            why=why,
        )

    def label(self, station: Station, *, old_prices: datetime | None) -> Label:
        """The words, in the shop's language: the cashier reads them, not the visitor."""
        tongue = station.language
        parts = [f"{say(tongue, 'label.net')} {weight(tongue, self.net_g)}"]
        if self.tare_g:
            parts.append(f"{say(tongue, 'label.tare')} {weight(tongue, self.tare_g)}")
        parts.append(price(tongue, self.product.price_cents_per_kg))
        number = self.product.number
        note = "label.old_price" if old_prices else "label.indicative"
        known = station.time_is_known
        when = stamp(station.now()) if known else say(tongue, "label.no_date")
        return Label(
            title=self.product.name,
            number=say(tongue, "label.number", number=number) if number else "",
            details=self.product.details,
            weights="   ".join(parts),
            barcode=self.barcode,
            price="" if self.shown_cents is None else money(tongue, self.shown_cents),
            price_note=say(tongue, note) if old_prices or self.mode == "indicative" else "",
            footer=f"{station.coop} · {when} · {station.name}",
        )


def make(catalogue: Catalogue, product: Product, *, net_g: int, tare_g: int, mode: Mode) -> Ticket:
    """Raises `store.nomenclature.LabelRefused` when the till would misread the label."""
    cents = cents_of(product.price_cents_per_kg, net_g)
    code = label_code(catalogue, product, grams=net_g, cents=cents)
    return Ticket(
        id=secrets.token_hex(8),
        product=product,
        net_g=net_g,
        tare_g=tare_g,
        cents=cents,
        mode=mode,
        barcode=code.barcode,
        code=code.product,
    )
