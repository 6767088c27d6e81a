"""The link against a real broker."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from mqtt.link import Address, Gone, Incoming, Outgoing, Reason, Session
from support.broker import mosquitto
from support.linked import held


async def next_message(session: Session) -> Incoming:
    async with asyncio.timeout(20):
        return await anext(session.messages())


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_message_goes_round(tmp_path: Path, version: str) -> None:
    async with (
        mosquitto(tmp_path) as broker,
        held(Address.parse(broker.url, version=version)) as link,  # type: ignore[arg-type]
    ):
        session = await link.session()
        assert link.link.state.get().up
        await session.subscribe("a/+")
        assert await session.publish(Outgoing("a/b", b"hello")) is Reason.OK
        message = await next_message(session)
        assert (message.topic, message.body, message.retain) == ("a/b", b"hello", False)
        message.done()
        assert await session.publish(Outgoing("a/c", b"reading", qos=0)) is Reason.OK
        assert (await next_message(session)).body == b"reading"
