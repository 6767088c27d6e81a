"""A broker and a store for what goes up and comes down; a station on simulated wires."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.broker import Mosquitto, mosquitto
from support.stores import opened

from edged.demo.workbench import Workbench
from store import Store

STATION = """
[station]
site = "demo"
name = "borne-1"
data = "{data}"

[badge_reader.door]
driver = "serial-scanner"
port = "{door}"

[scale.balance]
driver = "mettler-8217"
port = "{balance}"

[printer.labels]
driver = "escpos"
port = "{labels}"

[camera.portrait]
driver = "mjpeg"
url = "{portrait}"
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path / "store") as running:
        yield running


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    async with Workbench(tmp_path / "bench") as running:
        yield running


@pytest.fixture
def station(tmp_path: Path, bench: Workbench) -> Path:
    file = tmp_path / "station.toml"
    file.write_text(STATION.format(data=tmp_path / "data", **bench.urls))
    return file
