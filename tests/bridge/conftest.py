"""An inbox by itself, a session by itself, and all that facts pass through on their way to Odoo."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.delivered import World, world_in
from support.fault_broker import FaultBroker
from support.inboxes import opened
from support.linked import held

from bridge.inbox import Inbox
from mqtt.link import Address, Session


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    async with opened(tmp_path / "inbox") as inbox:
        yield inbox


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as world:
        yield world


@pytest.fixture
async def listener() -> AsyncIterator[FaultBroker]:
    """A broker that remembers what was said to it."""
    async with FaultBroker() as broker:
        yield broker


@pytest.fixture
async def session(listener: FaultBroker) -> AsyncIterator[Session]:
    async with held(Address.parse(listener.url)) as link:
        yield await link.session()
