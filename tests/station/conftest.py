"""Whole stations for tests: see `support.shop`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.shop import Shop, shop_in


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """One-box mode, as in the demo: the daemon runs its broker and bridge."""
    async with shop_in(tmp_path, own_broker=False) as running:
        yield running


@pytest.fixture
async def networked_shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A central broker that can be stopped, and a bridge that can be killed."""
    async with shop_in(tmp_path, own_broker=True) as running:
        yield running
