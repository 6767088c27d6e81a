"""A broker and a store for the tests of what goes up and comes down."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.broker import Mosquitto, mosquitto
from support.stores import opened

from store import Store


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path / "store") as running:
        yield running
