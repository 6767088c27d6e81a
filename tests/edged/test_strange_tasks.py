"""Drivers that treat the event loop as theirs alone, many in one station: the others go on."""

import asyncio
from pathlib import Path

import pytest
from support.daemons import edged, station
from support.hands import Hands
from support.strangers import installed

OTHERS = """
[badge_reader.porte]
driver = "rdm6300"
port = "sim://rdm6300"
[scale.balance]
driver = "mettler-8217"
port = "sim://mettler-8217?load=1234"
[printer.etiquettes]
driver = "escpos"
port = "sim://escpos"
[screens.entrance]
reader = "porte"
[screens.scale]
scale = "balance"
printer = "etiquettes"
"""


def tables(*drivers: str) -> str:
    """One of each, named as its driver in small letters."""
    return OTHERS + "".join(
        f"[{'badge_reader' if 'Badge' in driver else 'scale'}.{driver.lower()}]\n"
        f'driver = "{driver}"\n'
        for driver in drivers
    )


@pytest.mark.parametrize("driver", ["CancelsAll", "StopsLoop", "LaterExits", "ThreadCallExits"])
async def test_none_of_them_ends_the_station_and_it_is_told_which(
    driver: str, tmp_path: Path
) -> None:
    async with station(tmp_path, tables(driver), **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        if f"{driver.lower()}: bug in its driver" not in daemon.words:
            await daemon.says(f"{driver.lower()}: bug in its driver")
        for name in ("porte", "balance", "etiquettes"):
            await daemon.device_is(name, "up")
        async with Hands.client() as client:
            assert (await client.get(f"{daemon.url}/scale")).status_code == 200
        assert await daemon.end() == 0


async def test_who_does_not_end_is_named_and_the_station_ends_all_the_same(tmp_path: Path) -> None:
    drivers = ("SwallowsRun", "SwallowsPlugged", "FillsThreads", "LeavesTask")
    async with station(tmp_path, tables(*drivers), **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        # A label's picture and the printer's are made in threads, of which there are still some.
        await daemon.device_is("etiquettes", "up")
        await daemon.device_is("leavestask", "refused")
        await daemon.device_is("swallowsrun", "up")
        await daemon.device_is("swallowsplugged", "absent")
        await asyncio.sleep(1)
        left = await daemon.device_is("leavestask", "refused")
        assert left["latest"] == ""  # nothing counts that it says after its end
        async with asyncio.timeout(40):
            assert await daemon.end() == 0
        for name in ("swallowsrun", "swallowsplugged", "leavestask"):
            assert f"{name}: its driver does not end" in await daemon.all_words()


async def test_check_ends_also_with_a_driver_that_does_not(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    head = f'[station]\nsite = "demo"\nname = "borne-1"\ndata = "{tmp_path}/data"\n'
    file.write_text(head + tables("SwallowsRun", "FillsThreads"))
    async with asyncio.timeout(60):
        status, out, err = await edged("check", "-c", file, **installed(tmp_path / "site"))
    assert status == 0, err
    assert "✔ scale swallowsrun" in out


async def test_none_of_them_fills_the_log_and_no_badge_number_reaches_it(tmp_path: Path) -> None:
    drivers = ("SetsRetry", "NewWords", "LosesTasks", "BadgeInTrace")
    async with station(tmp_path, tables(*drivers), **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        await daemon.device_is("badgeintrace", "failing")
        await asyncio.sleep(5)
        noted = [line["device"] for line in (await daemon.status())["journal"]]
        assert 0 < noted.count("newwords") <= 8
        await daemon.device_is("balance", "up")
        assert await daemon.end() == 0
        words = await daemon.all_words()
        assert words.count("\n") < 100
        for line in ("badgeintrace: bug in its driver: ValueError at ", "losestasks: bug in its"):
            assert line in words
        assert "0420001234004" not in words


async def test_prices_are_not_rounded_by_a_driver_that_rounds(tmp_path: Path) -> None:
    """All of that module set `prec` to 3 when they were imported."""
    async with station(tmp_path, tables("SetsRetry"), **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        async with asyncio.timeout(30):
            while (await daemon.device_is("balance", "up"))["latest"] == "":
                await asyncio.sleep(0.1)
        async with Hands.client() as client:
            page = (await client.get(f"{daemon.url}/scale")).text
        assert "1,234" in page
