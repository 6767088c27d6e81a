"""Somebody badges, the power is cut, and they badge again because they are not sure."""

import random

from faults.judge import Verdict
from faults.shop import Shop

TWICE_S = 300.0
"""Longer than any restart takes."""


async def after_a_power_cut(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """The second time is no passage: nobody who comes to work is checked out at once."""
    station = await shop.open_station(twice_s=TWICE_S)
    for _ in range(count):
        people = shop.next(rng.randrange(1, 5))
        await station.passes(*people)
        await station.kill()
        await station.start()
        for person in people:
            shown = await station.show(person, meant=False)
            assert shown.state in ("twice", "ok"), shown
        # When somebody else's badge is on the disk, so is what was written before it.
        await station.passes(*shop.next(1))
    return await shop.verdict()
