"""A station to measure: 50,000 members and a shelf of products in its store, then the real daemon.

The one rule: the store is filled through its own door before the daemon has it open.
"""

import compileall
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import edged
from bridge.standin.demo import RULES, ean13
from edged.demo.stage import Stage
from mqtt.identity import badge_hash
from mqtt.messages import Catalogue, Entry, Product, Rule, Who
from mqtt.secrets import make_badge_key, read_badge_key
from store import Store

MEMBERS = 50_000
PRODUCTS = 200
PACKAGES = (
    "edged", "devices", "durable", "badge_reader", "scale", "printer", "camera", "mqtt", "store",
    "kiosk", "bridge",
)  # fmt: skip


def badge(member: int) -> str:
    """The number on a member's badge; 10 digits, as many cards have."""
    return f"{member:010d}"


def first_name(member: int) -> str:
    """Each has a name of their own, so that an answer tells whose it is."""
    return f"Camille-{member:05d}"


@asynccontextmanager
async def station(folder: Path, *, mqtt_url: str) -> AsyncIterator[Stage]:
    """Everything but the daemon: ``await stage.start()`` runs that."""
    await fill(folder)
    async with Stage(folder, mqtt_url=mqtt_url) as stage:
        yield stage


async def fill(folder: Path) -> None:
    """Members and products into the store of the station that will stand in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    make_badge_key(folder / "badge.key")
    key = read_badge_key(folder / "badge.key")
    now = datetime.now(UTC)
    store = await Store.open(folder / "station", clock=lambda: "synced")
    try:
        await store.directory.replace([_member(key, number) for number in range(MEMBERS)], now)
        products = tuple(_product(number) for number in range(PRODUCTS))
        rules = tuple(
            Rule(sequence=place, type=kind, encoding=encoding, pattern=pattern)
            for place, _, kind, encoding, pattern in RULES
        )
        catalogue = Catalogue(as_of=now, digest="0" * 64, products=products, rules=rules)
        await store.catalogue.replace(catalogue)
    finally:
        await store.close()


def _member(key: bytes, number: int) -> Entry:
    return Entry(
        badge=badge_hash(key, badge(number)),
        who=Who(kind="member", id=number + 1),
        first_name=first_name(number),
        verdict="ok",
    )


def _product(number: int) -> Product:
    return Product(
        id=number + 1,
        name=f"Produit {number:03d}",
        number=str(number),
        price_cents_per_kg=150 + number,
        barcode=ean13(f"21{number:05d}00000"),
        category=f"Rayon {number % 6}",
    )


def compile_all() -> None:
    """Bytecode of every package, as an installation has it: a station does not compile itself."""
    root = Path(edged.__file__).parents[1]
    for package in PACKAGES:
        compileall.compile_dir(root / package, quiet=1)


def nobody() -> str:
    """The address of a broker that is away."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"mqtt://127.0.0.1:{probe.getsockname()[1]}"


def daemon(stage: Stage) -> int:
    """The process to measure."""
    assert stage.daemon is not None
    return stage.daemon.pid


@asynccontextmanager
async def words_of_children(path: Path) -> AsyncIterator[None]:
    """Children log to standard error: let them do it into a file, shown only if we fail."""
    kept = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    except BaseException:
        os.write(kept, path.read_bytes()[-4000:])
        raise
    finally:
        os.dup2(kept, 2)
        os.close(kept)
