"""Devices that the service's sandbox forbids: EPERM, which is not EACCES."""

from pathlib import Path

import pytest
from support.daemons import STATION, running
from support.echo import Echo
from support.strace import allowed_again, forbidden

from devices.simulate import PtyHost

DEVICE = """
[{family}.forbidden]
driver = "{driver}"
port = "{port}"
"""
DRIVERS = {
    "rdm6300": "badge_reader",
    "serial-scanner": "badge_reader",
    "keyboard-wedge": "badge_reader",
    "mettler-8217": "scale",
    "escpos": "printer",
    "v4l2": "camera",
}


def station_file(folder: Path, driver: str, port: Path) -> Path:
    file = folder / "station.toml"
    device = DEVICE.format(family=DRIVERS[driver], driver=driver, port=port)
    file.write_text(STATION.format(data=folder / "data", port=0) + device)
    return file


@pytest.mark.parametrize("driver", DRIVERS)
async def test_what_the_service_may_not_open_is_told_and_tried_again(
    driver: str, tmp_path: Path
) -> None:
    async with PtyHost(tmp_path / "device", Echo()) as host:
        file = station_file(tmp_path, driver, host.path)
        async with running("run", "-c", file, before=forbidden(host.path)) as daemon:
            await daemon.ready()
            told = await daemon.device_is("forbidden", "failing")
            assert told["key"] == "device.sandboxed"
            assert "systemctl restart edged" in told["remedy"]


async def test_once_it_is_allowed_it_comes_up_by_itself(tmp_path: Path) -> None:
    async with PtyHost(tmp_path / "device", Echo()) as host:
        file = station_file(tmp_path, "rdm6300", host.path)
        async with running("run", "-c", file, before=forbidden(host.path)) as daemon:
            await daemon.says("forbidden: failing device.sandboxed")
            allowed_again(daemon.process.pid)
            await daemon.says("forbidden: up")
