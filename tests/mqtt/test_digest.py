import json
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mqtt.digest import catalogue_digest, shard_digest
from mqtt.messages import DirectoryShard, Entry, Product, ReceivedShard, Rule, Who

SHIFT = datetime(2026, 12, 3, 17, 30, tzinfo=UTC)


def entry(badge: str, **changes: object) -> Entry:
    fields: dict[str, object] = {
        "badge": badge,
        "who": Who(kind="member", id=7),
        "first_name": "Zoé",
        "verdict": "ok",
        "next_shift": SHIFT,
        "language": "fr",
    }
    return Entry.model_validate(fields | changes)


A, B = "ab" + "0" * 30, "ab" + "1" * 30


def test_the_canonical_form_is_pinned():
    """Other programs may compute it: these values must never change."""
    assert shard_digest([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert (
        shard_digest([entry(A)])
        == "ae7a8e8cea26ffe380950c275a553111bbbd38bc46b228324be6dc9c7d905eda"
    )


def test_order_does_not_count():
    entries = [entry(f"ab{n:030x}", who=Who(kind="member", id=n)) for n in range(50)]
    shuffled = entries[:]
    random.Random(1).shuffle(shuffled)
    assert shard_digest(entries) == shard_digest(shuffled)


@pytest.mark.parametrize(
    "changes",
    [
        {"badge": B},
        {"who": Who(kind="employee", id=7)},
        {"who": Who(kind="member", id=8)},
        {"first_name": "Zoe"},
        {"verdict": "stop"},
        {"next_shift": None},
        {"next_shift": SHIFT + timedelta(milliseconds=1)},
        {"language": None},
    ],
)
def test_each_field_counts(changes):
    assert shard_digest([entry(A)]) != shard_digest([entry(A).model_copy(update=changes)])


def received(entries):
    written = DirectoryShard(shard="ab", entries=tuple(entries)).model_dump_json()
    return ReceivedShard.model_validate_json(written).entries


def test_it_survives_the_wire_and_a_time_zone():
    here = [entry(A, next_shift=SHIFT.astimezone(timezone(timedelta(hours=1)))), entry(B)]
    assert shard_digest(here) == shard_digest(received([entry(A), entry(B)]))
    (raw,) = received([entry(A)])
    for same in (
        "2026-12-03T18:30:00+01:00",
        "2026-12-03T17:30:00Z",
        "2026-12-03T17:30:00.000400Z",
    ):
        assert shard_digest([raw | {"next_shift": same}]) == shard_digest([entry(A)])


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "later"},
        {"who": {"kind": "supplier", "id": 7}},
        {"who": "everybody"},
        {"who": {"kind": "member", "id": "seven"}},
        {"first_name": None},
        {"next_shift": "soon"},
        {"next_shift": "2026-12-03"},
        {"next_shift": "0001-01-01T00:00:00+14:00"},
        {"next_shift": 7},
        {"language": ["fr", "en"]},
    ],
)
def test_what_this_version_does_not_know_counts_as_it_stands(changes):
    (raw,) = received([entry(A)])
    strange = raw | changes
    assert shard_digest([strange]) != shard_digest([entry(A)])
    assert shard_digest([strange]) == shard_digest([json.loads(json.dumps(strange))])
    assert shard_digest([strange, entry(B)]) == shard_digest([entry(B), strange])


def test_a_field_of_a_newer_version_does_not_count():
    (raw,) = received([entry(A)])
    assert shard_digest([raw | {"hours": [8, 20]}]) == shard_digest([entry(A)])


def test_a_catalogue_counts_products_in_any_order_and_rules_by_sequence():
    leek = Product(id=1, name="Poireau", number="1", price_cents_per_kg=250, barcode="2" * 13)
    plum = Product(id=2, name="Prune", number="2", price_cents_per_kg=420, barcode="3" * 13)
    weight = Rule(sequence=10, type="weight", encoding="ean13", pattern="21.....{NNDDD}")
    other = Rule(sequence=20, type="product", encoding="any", pattern=".*")
    digest = catalogue_digest([leek, plum], [weight, other])
    assert digest == catalogue_digest([plum, leek], [other, weight])
    assert digest != catalogue_digest([leek, plum], [weight, other], "none")
    assert digest != catalogue_digest([leek], [weight, other])
    assert digest != catalogue_digest([leek, plum], [weight])
    dearer = plum.model_copy(update={"price_cents_per_kg": 421})
    assert digest != catalogue_digest([leek, dearer], [weight, other])
