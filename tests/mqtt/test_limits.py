"""What a link bears: how large, how many at a time, how slow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.broker import Mosquitto, mosquitto
from support.echo import until
from support.fault_broker import FaultBroker
from support.linked import held

from mqtt.link import Address, Gone, Link, Outgoing, Reason, Session
from mqtt.wire import Wire

LARGEST = 10_000
PUBACK = b"\x40\x04%b\x00\x00"
PINGRESP = b"\xd0\x00"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path / "broker") as running:
        yield running


async def next_body(session: Session) -> bytes:
    async with asyncio.timeout(30):
        message = await anext(session.messages())
    message.done()
    return message.body


@pytest.mark.parametrize("retain", [False, True], ids=["sent now", "retained"])
async def test_a_message_larger_than_we_take_does_not_come_and_the_rest_does(
    broker: Mosquitto, retain: bool
) -> None:
    address = Address.parse(broker.url)
    async with (
        held(address, client_id="reader", max_packet=LARGEST) as reader,
        held(address, client_id="sender") as sender,
    ):
        reading, sending = await reader.session(), await sender.session()
        large = Outgoing("a/1", b"x" * LARGEST, retain=retain)
        small = Outgoing("a/2", b"y" * (LARGEST - 100), retain=retain)
        if retain:
            await sending.publish(large)
            await sending.publish(small)
        await reading.subscribe("a/+")
        if not retain:
            await sending.publish(large)
            await sending.publish(small)
        assert await next_body(reading) == small.body
        await sending.publish(Outgoing("a/1", b"smaller now"))
        assert await next_body(reading) == b"smaller now"
        assert not reading.over.is_set()


async def test_a_station_takes_16_mib_unless_it_is_told_otherwise() -> None:
    async with FaultBroker() as broker:
        address = Address.parse(broker.url)
        async with held(address) as station, held(address, max_packet=8 << 20) as bridge:
            await station.session()
            await bridge.session()
        told = {body.partition(b"\x27")[2][:4] for body in broker.connects}
        assert told == {(16 << 20).to_bytes(4, "big"), (8 << 20).to_bytes(4, "big")}


async def test_a_topic_that_is_no_longer_wanted_does_not_come(broker: Mosquitto) -> None:
    for version in ("5", "3.1.1"):
        address = Address.parse(broker.url, version=version)
        async with held(address) as link:
            session = await link.session()
            await session.subscribe("a", "b", "c")
            await session.unsubscribe("a", "c")
            for topic in ("a", "b", "c"):
                await session.publish(Outgoing(topic, topic.encode()))
            assert await next_body(session) == b"b"
            await session.subscribe("a")
            await session.publish(Outgoing("a", b"again"))
            assert await next_body(session) == b"again"


@asynccontextmanager
async def swallowing(**options: Any) -> AsyncIterator[tuple[FaultBroker, Session]]:
    """A broker that gives no PUBACK by itself, and a session with it."""
    async with FaultBroker() as broker, held(Address.parse(broker.url), **options) as link:
        session = await link.session()
        broker.puback = None
        yield broker, session


def begin(session: Session, count: int = 1) -> list[asyncio.Task[Reason]]:
    """So many publishes at once."""
    return [asyncio.create_task(session.publish(Outgoing("a", b""))) for _ in range(count)]


async def test_two_hundred_publishes_wait_for_their_pubacks_at_most() -> None:
    async with swallowing() as (broker, session):
        tasks = begin(session, 250)
        await until(lambda: len(broker.unanswered) >= 200)
        await session.subscribe("a round trip")
        assert len(broker.unanswered) == 200
        broker.answer()
        await until(lambda: len(broker.unanswered) == 50)
        broker.answer()
        assert await asyncio.gather(*tasks) == [Reason.OK] * 250


async def test_a_slow_line_is_not_taken_for_a_broker_that_swallows_answers() -> None:
    """Each answer comes soon after the one before; all of them together take longer."""
    async with swallowing(answer_timeout=4) as (broker, session):
        tasks = begin(session, 5)
        await until(lambda: len(broker.unanswered) == 5)
        for task in tasks[:4]:
            await asyncio.sleep(1.5)
            broker.send(PUBACK % broker.unanswered.pop(0).to_bytes(2, "big"))
            assert await task is Reason.OK
        # What is then not answered for that long is swallowed.
        with pytest.raises(Gone, match="the broker does not answer"):
            await tasks[4]


async def test_an_answer_behind_one_large_message_is_waited_for() -> None:
    async with swallowing(answer_timeout=3) as (broker, session):
        (publishing,) = begin(session)
        await until(lambda: broker.unanswered)
        parts = [b"x" * 2000] * 20
        # A PUBLISH of QoS 0: its length in four times seven bits, the topic, no properties.
        length = sum(map(len, parts)) + 4
        broker.send(bytes([0x30, length & 127 | 128, length >> 7 & 127 | 128, length >> 14]))
        broker.send(b"\x00\x01b\x00")
        for part in parts:
            await asyncio.sleep(0.4)
            broker.send(part)
        broker.send(PUBACK % broker.unanswered.pop(0).to_bytes(2, "big"))
        assert await publishing is Reason.OK
        assert await next_body(session) == b"".join(parts)


async def test_a_swallowed_answer_is_noticed_although_others_come() -> None:
    async with swallowing(answer_timeout=1) as (broker, session):
        (swallowed,) = begin(session)
        await until(lambda: broker.unanswered)
        broker.puback = 0
        async with asyncio.timeout(30):
            while not swallowed.done():
                await asyncio.wait(
                    {swallowed, asyncio.create_task(session.publish(Outgoing("b", b"")))},
                    return_when=asyncio.FIRST_COMPLETED,
                )
                broker.send(PINGRESP * 50)  # many bytes, as if a large message were on its way
                await asyncio.sleep(0.05)
        assert isinstance(swallowed.exception(), Gone)


# --- what a watchdog sees --------------------------------------------------------------------


async def test_a_link_says_that_it_is_alive_with_and_without_a_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mqtt.link.ALIVE_S", 0.05)
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    async def beats_go_on() -> None:
        before = beats
        await until(lambda: beats > before + 3)

    async with FaultBroker() as broker, held(Address.parse(broker.url), alive=beat) as link:
        await link.session()
        await beats_go_on()
        broker.connack = 0x87
        broker.hang_up()
        await link.becomes("link.refused")
        await beats_go_on()


@pytest.mark.parametrize("where", ["connecting", "connected"])
async def test_a_link_that_hangs_is_not_alive(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr("mqtt.link.ALIVE_S", 0.05)
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    async def blocked(_: Session) -> None:
        await asyncio.Event().wait()

    if where == "connecting":
        monkeypatch.setattr(Session, "open", blocked)
    else:
        # As when the connection's thread is held up: it last turned long ago.
        monkeypatch.setattr(Wire, "turning", False)
    async with FaultBroker() as broker:
        link = Link([Address.parse(broker.url)], client_id="test", alive=beat)
        task = asyncio.create_task(link.run(blocked))
        await until(lambda: beats)
        if where == "connected":
            await until(lambda: link.state.get().up)
        before = beats
        await asyncio.sleep(1)
        assert beats == before
        task.cancel()
        await asyncio.wait({task})


async def test_a_connection_whose_thread_is_held_up_is_not_turning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mqtt.wire.STUCK_S", 3.0)
    async with FaultBroker() as broker, held(Address.parse(broker.url)) as link:
        session = await link.session()
        await asyncio.sleep(4)
        await until(lambda: session.turning)  # nothing was said meanwhile, and its thread turns
        client = session._wire._client
        assert client is not None
        with client._callback_mutex:  # the thread stands before its next call to us
            task = asyncio.create_task(session.publish(Outgoing("a", b"")))
            await until(lambda: not session.turning)
        assert await task is Reason.OK
        await until(lambda: session.turning)
