"""Every way to break the promises, in one table: short for the tests, long for ``make torture``."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from faults import again, bridges, cards, clocks, damage, disks, labels, neighbours, slow
from faults.judge import Verdict
from faults.kills import kills
from faults.shop import Shop, shop_in


@dataclass(frozen=True, slots=True)
class Scenario:
    """`act(shop, rng, count)` breaks a shop and judges it. In the tests `count` is `short`; in the
    long run it is `long`, `runs` times with another seed each.
    """

    name: str
    act: Callable[[Shop, random.Random, int], Awaitable[Verdict]]
    short: int = 1
    long: int = 1
    runs: int = 10
    keeps: bool = True
    """Whether broker and Odoo must keep what they have over a kill -9, which costs them time."""

    async def run(self, folder: Path, seed: int, count: int) -> Verdict:
        """In a shop of its own in `folder`. Raises `CannotTry`, and whatever goes wrong."""
        async with shop_in(folder, keeps=self.keeps) as shop:
            return await self.act(shop, random.Random(seed), count)


STATIONS = (
    Scenario("card put back from an image", cards.put_back),
    Scenario("page of the directory", partial(damage.pages, table="directory")),
    Scenario("page of the outbox", partial(damage.pages, table="outbox"), runs=30),
    Scenario("page of the journal", partial(damage.pages, table="journal")),
    Scenario("page of meta", partial(damage.pages, table="meta")),
    Scenario("log cut short", partial(damage.logs, gone=False)),
    Scenario("log's index gone", partial(damage.logs, gone=True)),
    Scenario("bit of a waiting fact", damage.bits),
    Scenario("disk full", disks.full),
    Scenario("disk only read", disks.read_only),
    Scenario("label between fact and paper", labels.in_between, long=3),
    Scenario("badge again after a power cut", again.after_a_power_cut, long=3),
)
"""What happens to one station."""

THE_WAY = (
    Scenario("anything killed at any moment", kills, short=5, long=50, runs=20),
    Scenario("two of one name", partial(cards.twins, cloned=False)),
    Scenario("two of one name, one a clone", partial(cards.twins, cloned=True)),
    Scenario("bridge's folder lost", bridges.folder_lost),
    Scenario("bridge's folder put back", bridges.folder_put_back),
    Scenario("bridge's folder lost after a week", bridges.folder_lost_late),
    Scenario("clock ahead", clocks.ahead),
    Scenario("clock behind", clocks.behind),
    Scenario(
        "garbage from a neighbour", neighbours.garbage, short=120, long=220, runs=3, keeps=False
    ),
    Scenario("slow line", slow.line, runs=3, keeps=False),
)
"""What happens between stations and Odoo."""
