"""Stations whose clock is wrong, and which trust it.

The one rule: a station's wrong clock costs nobody their next badge at another station.
"""

import random

from faults.judge import Verdict
from faults.processes import ROOT
from faults.shop import Shop

WRONG_CLOCK = ROOT / "tests" / "faults" / "wrong_clock"
"""Python loads the `sitecustomize` in it when it starts."""
DAY_S = 86_400


async def ahead(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """A clock that is hours to ten years ahead: its badges are for a person to look at."""
    seconds = [rng.choice((3600, DAY_S, 3650 * DAY_S)) for _ in range(count)]
    verdict = await _wrong(shop, seconds)
    assert verdict.told == 3 * count, f"{verdict.told} badges are left to a person"
    return verdict


async def behind(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """A clock that is behind. Nobody can know: the badge counts at the second that it says."""
    verdict = await _wrong(shop, [-rng.choice((3600, DAY_S)) for _ in range(count)])
    assert not verdict.told, f"{verdict.told} badges are left to a person"
    return verdict


async def _wrong(shop: Shop, clocks: list[int]) -> Verdict:
    """Three people badge where the clock is wrong, and then where it is right."""
    for turn, seconds in enumerate(clocks):
        wrong = await shop.station(f"wrong-{turn}")
        wrong.environment = {
            "PYTHONPATH": f"{WRONG_CLOCK}:{ROOT}",
            "FAULTS_CLOCK_S": str(seconds),
        }
        await wrong.start()
        await wrong.knows(shop.everybody)
        right = await shop.open_station(f"right-{turn}")
        people = shop.next(3)
        for station in (wrong, right):
            await station.passes(*people)
            await station.settled()
            await station.stop()
    return await shop.verdict()
