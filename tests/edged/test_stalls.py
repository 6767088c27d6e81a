"""A driver that does not let go of the event loop, in a station's process."""

import asyncio
import re
import signal
import time
from pathlib import Path

import pytest
from support.daemons import station
from support.hands import Hands
from support.strangers import installed

STRANGER = """
[scale.stranger]
driver = "{driver}"
[scale.balance]
driver = "mettler-8217"
port = "sim://mettler-8217?load=482"
"""


@pytest.mark.parametrize("driver", ["Blocks", "ChildBlocks", "ReaderBlocks"])
async def test_who_held_everything_up_is_named_with_the_line_and_for_how_long(
    driver: str, tmp_path: Path
) -> None:
    more = STRANGER.format(driver=driver)
    async with station(tmp_path, more, **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        line = await daemon.says(r"stranger: device\.blocks seconds=([\d.]+) where=\S+ \(in all\)")
        assert float(line[1]) >= 2.5
        row = next(row for row in (await daemon.status())["rows"] if row["what"] == "stalled")
        assert row["value"]["device"] == "stranger"
        assert row["value"]["seconds"] == float(line[1])
        where = re.fullmatch(r".*/strange_loops\.py:(\d+)", row["value"]["where"])
        assert where
        source = (tmp_path / "site/strange_loops.py").read_text().splitlines()
        assert "time.sleep(2.5)" in source[int(where[1]) - 1]
        assert row["mood"] == "bad"
        noted = [line for line in (await daemon.status())["journal"] if line["device"]]
        assert [line["key"] for line in noted if line["device"] == "stranger"] == ["device.blocks"]
        async with Hands.client() as client:
            assert "strange_loops.py:" in (await client.get(f"{daemon.url}/status")).text
        await daemon.device_is("balance", "up")


async def test_also_one_that_lets_no_other_thread_run_is_named(tmp_path: Path) -> None:
    more = STRANGER.format(driver="KeepsTheLock")
    async with station(tmp_path, more, **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        await daemon.says(r"stranger: device\.blocks seconds=\S+ where=\S+strange_loops\.py:\d+")


async def test_the_time_in_which_the_whole_process_was_stopped_is_nobodys(tmp_path: Path) -> None:
    more = STRANGER.format(driver="Computes")
    async with station(tmp_path, more, **installed(tmp_path / "site")) as daemon:
        await daemon.says("computing")
        began = time.monotonic()
        daemon.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(10)
        daemon.process.send_signal(signal.SIGCONT)
        line = await daemon.says(r"stranger: device\.blocks seconds=([\d.]+) where=\S+ \(in all\)")
        assert float(line[1]) < time.monotonic() - began - 5


async def test_the_name_stands_in_the_log_while_it_lasts(tmp_path: Path) -> None:
    """systemd kills a daemon that blocks: what comes afterwards never comes."""
    more = STRANGER.format(driver="BlocksForEver")
    async with station(tmp_path, more, **installed(tmp_path / "site")) as daemon:
        where = await daemon.says(r"stranger: device\.blocks seconds=\S+ where=(\S+) \(so far\)")
        assert "strange_loops.py:" in where[1]


async def test_one_that_holds_everything_up_all_the_time_fills_no_log(tmp_path: Path) -> None:
    more = STRANGER.format(driver="BlocksOften")
    async with station(tmp_path, more, **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        await daemon.says("in all")
        while (await _times(daemon)) < 5:
            pass
        assert daemon.words.count("device.blocks") == 2
        assert (await daemon.end()) == 0
        assert daemon.process.stderr is not None
        assert b"device.blocks" not in await daemon.process.stderr.read()


async def _times(daemon) -> int:
    rows = (await daemon.status())["rows"]
    return max((row["value"]["times"] for row in rows if row["what"] == "stalled"), default=0)


async def test_a_station_whose_devices_let_go_names_nobody(tmp_path: Path) -> None:
    more = STRANGER.format(driver="Base")
    async with station(tmp_path, more, **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        await daemon.device_is("balance", "up")
        assert all(row["what"] != "stalled" for row in (await daemon.status())["rows"])
