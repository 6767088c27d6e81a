"""SD cards that are put back from an image, or copied, and stations that share a name.

The one rule: a card is copied while its station is off, as a person copies one.
"""

import random
import shutil

from faults.judge import Verdict
from faults.processes import copy_folder
from faults.shop import Shop
from faults.station import Station

SINCE = 5
"""Facts delivered after the image was made."""


async def put_back(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """An image of a station's card is put back, and people badge before the bridge is heard again:
    more often than they had since the image, or less often; or it is heard at once.
    """
    more, fewer = SINCE + rng.randrange(1, 4), rng.randrange(1, SINCE)
    for turn in range(count):
        for case, badges in (("more", more), ("fewer", fewer), ("online", more)):
            station = await shop.open_station(f"{case}-{turn}")
            await _restore(shop, station, badges, online=case == "online")
            await station.stop()
    return await shop.verdict()


async def _restore(shop: Shop, station: Station, badges: int, *, online: bool) -> None:
    await station.passes(*shop.next(10))
    await station.settled()
    await station.stop()
    image = copy_folder(station.data, station.folder / "image")
    await station.start()
    await station.passes(*shop.next(SINCE))
    await station.settled()
    await station.kill()
    shutil.rmtree(station.data)
    copy_folder(image, station.data)
    if not online:
        station.wire.hold()
    await station.start()
    await station.passes(*shop.next(badges))
    station.wire.flow()
    await station.settled()


async def twins(shop: Shop, rng: random.Random, count: int, *, cloned: bool) -> Verdict:
    """Two stations of one name run at once, each with a store of its own, or one with a copy of
    the other's.
    """
    for turn in range(count):
        name = f"twin-{turn}"
        first = await shop.open_station(name, folder=f"{name}-first")
        await first.passes(*shop.next(5))
        second = await shop.station(name, folder=f"{name}-second")
        if cloned:
            await first.settled()
            await first.stop()
            copy_folder(first.data, second.data)
            await first.start()
            await second.start()
        else:
            await second.start()
            await second.knows(shop.everybody)
        for _ in range(4):
            for twin in rng.sample([first, second], 2):
                await twin.passes(*shop.next(rng.randrange(1, 4)))
        # A broker lets one of them in at a time: what one has left goes when the other is off.
        await second.stop()
        await first.settled()
        await first.stop()
        await second.start()
        await second.settled()
        await second.stop()
    return await shop.verdict()
