"""A station that sends garbage, within its rights at the broker.

The one rule: another station's badge waits no longer for it than for the reading of its bytes, and
it does not fill the disk. That time is compared with the time that as many bytes take which the
bridge only reads, never with a clock.
"""

import asyncio
import random
import time
import uuid

from faults.judge import Verdict
from faults.shop import Shop
from faults.station import Station
from support.linked import held

from mqtt.link import Address, Outgoing, Session

LARGE = 1_000_000
TOPIC = "edged/v1/demo/neighbour"
READ, FACT, BLOB = f"{TOPIC}/did/edged-bridge", f"{TOPIC}/fact/badge", f"{TOPIC}/blob/{{}}"
SLOWER = 4
"""To keep garbage may take so many times longer than to read it."""
KEPT = 80_000_000
"""Bytes that lie on the bridge's disk at most, however much one station sends."""
TOGETHER = 20


async def garbage(shop: Shop, _: random.Random, count: int) -> Verdict:
    """Large messages that are no facts, and photos whose fact never comes."""
    station = await shop.open_station()
    address = Address.parse(shop.broker.url)
    async with held(address, client_id="neighbour") as holder:
        session = await holder.session()
        read = await _badge_behind(shop, station, session, READ, count)
        kept = await _badge_behind(shop, station, session, FACT, count)
        await _badge_behind(shop, station, session, BLOB, count)
    assert kept <= SLOWER * read, f"a badge took {kept:.1f} s instead of {read:.1f} s"
    verdict = await shop.verdict()
    size = sum(file.stat().st_size for file in shop.bridge.folder.rglob("*") if file.is_file())
    assert size <= KEPT, f"the bridge keeps {size / 1e6:.0f} MB of garbage"
    return verdict


async def _badge_behind(
    shop: Shop, station: Station, session: Session, topic: str, count: int
) -> float:
    """How long a badge takes to Odoo behind so many messages."""
    for _ in range(0, count, TOGETHER):
        await asyncio.gather(*(_send(session, topic) for _ in range(TOGETHER)))
    began = time.monotonic()
    await station.passes(*shop.next(1))
    await station.settled()
    return time.monotonic() - began


async def _send(session: Session, topic: str) -> None:
    """Each is another message, and they are alike but for their ends."""
    name = uuid.uuid4()
    await session.publish(Outgoing(topic.format(name), LARGE * b"x" + name.bytes))
