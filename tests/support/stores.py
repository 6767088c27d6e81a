"""A real store in a temporary folder, and facts to put into it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mqtt.messages import (
    Ack,
    BadgeData,
    Catalogue,
    Clock,
    Entry,
    Envelope,
    EpochAck,
    LabelData,
    Parked,
    Product,
    Rule,
    Who,
)
from store import Store
from store.outbox import Outbox

AT = datetime(2026, 11, 21, 17, 13, 22, 41000, tzinfo=UTC)


def badge(n: int) -> str:
    """A badge hash; consecutive ones fall into different shards."""
    return f"{n * 0x9E3779B1 % (1 << 32):08x}{n:024x}"


def fact(n: int = 1) -> BadgeData:
    return BadgeData(device="reader", badge=badge(n), who=Who(kind="member", id=n), shown="ok")


def label(name: str = "a1", action: str = "print", **changes: object) -> LabelData:
    fields = {
        "action": action,
        "label": name,
        "device": "printer",
        "scale": "scale",
        "product": 11,
        "barcode": "2112345004822",
        "net_g": 482,
        "tare_g": 12,
        "price_cents_per_kg": 295,
        "price_cents": 142,
        "mode": "indicative",
    }
    return LabelData.model_validate(fields | changes)


def entry(n: int, **changes: object) -> Entry:
    fields = {
        "badge": badge(n),
        "who": {"kind": "member", "id": n},
        "first_name": f"Prénom {n}",
        "verdict": "ok",
        "next_shift": AT + timedelta(days=n % 28),
        "language": "fr",
    }
    return Entry.model_validate(fields | changes)


def rule(pattern: str, type_: str = "weight", sequence: int = 10, encoding: str = "ean13") -> Rule:
    return Rule(sequence=sequence, type=type_, encoding=encoding, pattern=pattern)


def product(barcode: str, number: int = 1, **changes: object) -> Product:
    fields = {
        "id": number,
        "name": f"Produit {number}",
        "number": str(number),
        "price_cents_per_kg": 295,
        "barcode": barcode,
    }
    return Product.model_validate(fields | changes)


def catalogue(*products: Product, rules: tuple[Rule, ...] = ()) -> Catalogue:
    return Catalogue(as_of=AT, digest="0" * 64, products=products, rules=rules)


def ack(epoch: str, **words: Any) -> Ack:
    """What the bridge says of one epoch."""
    return Ack(epochs=(EpochAck(epoch=epoch, **words),))


def parked(*facts: Envelope, why: str = "?") -> tuple[Parked, ...]:
    """These facts in the bridge's list of those that wait for a person."""
    return tuple(Parked(seq=fact.seq, id=fact.id, why=why) for fact in facts)


async def put(outbox: Outbox, count: int) -> list[Envelope]:
    """`count` badge facts at once."""
    return list(await asyncio.gather(*(outbox.put("badge", fact(n)) for n in range(count))))


@asynccontextmanager
async def opened(
    folder: Path, *, clock: Clock = "synced", sheltered: bool = False
) -> AsyncIterator[Store]:
    store = await Store.open(folder, clock=lambda: clock, sheltered=sheltered)
    try:
        yield store
    finally:
        await store.close()
