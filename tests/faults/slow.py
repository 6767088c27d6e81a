"""A station that comes back over a slow line, with many people in its directory.

The one rule: facts go first, and what the station has already does not come again. That is counted
in bytes and connections, not in seconds.
"""

import random

from faults.judge import Verdict
from faults.shop import Shop

from bridge.standin.demo import ean13

MEMBERS = 4000
BYTES_A_SECOND = 20_000
AGAIN = 1 / 4
"""At most this part of the directory may pass before the facts have arrived."""


async def line(shop: Shop, _: random.Random, count: int) -> Verdict:
    """Ten badges off-line, then a line of 20 kB/s."""
    rows = [
        {"name": f"Membre{number:06d} Essai", "barcode": ean13(f"0427{number:08d}")}
        for number in range(MEMBERS)
    ]
    await shop.odoo.call("res.partner", "create", rows)
    shop.members += MEMBERS
    station = await shop.open_station()
    directory = station.wire.came_back
    for _turn in range(count):
        await station.wire.unplug()
        await station.passes(*shop.next(10))
        station.wire.rate = BYTES_A_SECOND
        station.wire.came_back = station.wire.connections = 0
        await station.wire.plug()
        await station.settled()
        came, connections = station.wire.came_back, station.wire.connections
        assert connections == 1, f"{connections} connections for ten facts"
        assert came <= AGAIN * directory, f"{came} of {directory} bytes came again"
        station.wire.rate = None
    return await shop.verdict()
