from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.screens import PRODUCTS, RULES, Bench, catalogue

from kiosk.load import Load, Pan, load_of
from kiosk.ticket import cents_of, make
from mqtt.messages import Rule
from scale import Weight
from store.nomenclature import LabelRefused


@given(st.integers(0, 100_000), st.integers(0, 30_000))
def test_cents_are_rounded_half_up_as_at_the_till(price: int, grams: int) -> None:
    exact = Decimal(price) * grams / 1000
    assert cents_of(price, grams) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def test_the_label_of_the_drawing(made: Bench) -> None:
    ticket = make(catalogue(), PRODUCTS[0], net_g=482, tare_g=126, mode="indicative")
    assert (ticket.barcode, ticket.cents, ticket.code) == ("2100104004824", 142, "00104")
    label = ticket.label(made.station, old_prices=None)
    assert label.title == "Pommes Gala"
    assert label.number.replace("\xa0", " ") == "n° 104"
    assert label.weights.replace("\xa0", " ") == "Net 0,482 kg   Tare 0,126 kg   2,95 €/kg"
    assert label.price.replace("\xa0", " ") == "1,42 €"
    assert label.price_note == "prix indicatif"
    assert label.footer.startswith("La Coop · ")
    assert label.footer.endswith(" · b1")


def test_what_the_note_says_depends_on_mode_and_age(made: Bench) -> None:
    certified = make(catalogue(), PRODUCTS[0], net_g=482, tare_g=0, mode="certified-peripheral")
    assert certified.label(made.station, old_prices=None).price_note == ""
    old = certified.label(made.station, old_prices=datetime.now(UTC))
    assert old.price_note == "prix à confirmer en caisse"
    relayed = make(catalogue(), PRODUCTS[0], net_g=482, tare_g=0, mode="scale-prices")
    assert relayed.label(made.station, old_prices=None).price == ""
    assert relayed.fact("print", printer="p", scale="s").price_cents is None


def test_no_date_is_printed_before_the_time_is_known(made: Bench) -> None:
    made.clock = "unsynced"
    ticket = make(catalogue(), PRODUCTS[0], net_g=482, tare_g=0, mode="indicative")
    assert ticket.label(made.station, old_prices=None).footer == "La Coop · date à la caisse · b1"


def test_a_label_that_the_till_would_misread_is_refused() -> None:
    caught = (Rule(sequence=1, type="client", encoding="ean13", pattern="21"), *RULES)
    with pytest.raises(LabelRefused):
        make(catalogue(rules=caught), PRODUCTS[0], net_g=482, tare_g=0, mode="indicative")


@pytest.mark.parametrize(
    ("weight", "load"),
    [
        (None, Load(Pan.UNKNOWN)),
        (Weight(Decimal("0.482"), "kg", stable=True), Load(Pan.LOADED, 482)),
        (Weight(Decimal("0.000"), "kg", stable=True), Load(Pan.EMPTY, 0)),
        (Weight(Decimal("0.482"), "kg", stable=False), Load(Pan.MOVING)),
        (Weight(None, "kg", stable=False), Load(Pan.MOVING)),
        (Weight(None, "kg", stable=True, over=True), Load(Pan.OVER)),
        (Weight(None, "kg", stable=True, under=True), Load(Pan.UNDER)),
        (Weight(Decimal("-0.005"), "kg", stable=True), Load(Pan.UNDER)),
        (Weight(None, "kg", stable=True), Load(Pan.UNKNOWN)),
        (Weight(Decimal("1.05"), "lb", stable=True), Load(Pan.UNKNOWN)),
        (Weight(Decimal("0.4825"), "kg", stable=True), Load(Pan.UNKNOWN)),
    ],
)
def test_only_whole_stable_grams_are_a_load(weight: Weight | None, load: Load) -> None:
    assert load_of(weight) == load
