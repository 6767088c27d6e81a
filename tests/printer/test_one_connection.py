"""Network printers that rest after each connection, held by real `edged` processes."""

import asyncio
from pathlib import Path

import pytest
from support.daemons import STATION, edged, station
from support.one_connection import OneConnection

from devices.keep import UNREACHABLE

PRINTER = """
[printer.etiquettes]
driver = "escpos"
port = "{url}"
"""
RESTS = (1.0, 3.0, 5.0)


def one_more_wait(rest: float) -> float:
    """Seconds until the attempt after a rest of so many: each waits longer than the one before."""
    tried, wait = 0.0, 0.0
    for wait in UNREACHABLE:
        tried += wait
        if tried > rest:
            break
    return wait


def came_back_in_time(printer: OneConnection, rest: float) -> None:
    """No later than its rest and one wait; the rest is for starting a process on a busy machine."""
    now = asyncio.get_running_loop().time()
    assert now - printer.ended_at < rest + one_more_wait(rest) + 20


@pytest.mark.parametrize("rest", RESTS)
async def test_it_is_up_soon_after_a_check(rest: float, tmp_path: Path) -> None:
    async with OneConnection(rest=rest) as printer:
        more = PRINTER.format(url=printer.url)
        file = tmp_path / "check.toml"
        file.write_text(STATION.format(data=tmp_path / "data", port=0) + more)
        assert (await edged("check", "-c", file))[0] == 0
        async with station(tmp_path, more) as daemon:
            await daemon.ready()
            await daemon.device_is("etiquettes", "up")
            came_back_in_time(printer, rest)
            assert await daemon.end() == 0
        await _all_used(printer, 2)


@pytest.mark.parametrize("rest", RESTS)
async def test_it_is_up_again_after_it_reset_the_connection(rest: float, tmp_path: Path) -> None:
    async with OneConnection(rest=rest) as printer:
        async with station(tmp_path, PRINTER.format(url=printer.url)) as daemon:
            await daemon.ready()
            await daemon.device_is("etiquettes", "up")
            printer.reset()
            await daemon.says("etiquettes: (failing|absent)")
            await daemon.device_is("etiquettes", "up")
            came_back_in_time(printer, rest)
            assert await daemon.end() == 0
        await _all_used(printer, 2)


@pytest.mark.parametrize("rest", RESTS)
async def test_it_is_up_again_after_a_restart(rest: float, tmp_path: Path) -> None:
    async with OneConnection(rest=rest) as printer:
        for _ in range(2):
            async with station(tmp_path, PRINTER.format(url=printer.url)) as daemon:
                await daemon.ready()
                await daemon.device_is("etiquettes", "up")
                assert await daemon.end() == 0
        came_back_in_time(printer, rest)
        await _all_used(printer, 2)


async def _all_used(printer: OneConnection, count: int) -> None:
    """As many connections as were needed, each for something."""
    async with asyncio.timeout(20):
        while len(printer.served) < count:
            await asyncio.sleep(0.01)
    assert len(printer.served) == count
    assert all(printer.served)


def test_a_printer_that_rests_half_a_minute_anew_at_each_attempt_has_its_rest() -> None:
    assert UNREACHABLE[-1] > 31
    assert list(UNREACHABLE) == sorted(UNREACHABLE)
