"""The link against a broker that misbehaves: nothing hangs, reasons surface."""

import asyncio
import gc
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.fault_broker import FaultBroker, publish
from support.linked import held

from mqtt.link import Address, Down, Gone, Link, NotAllowed, Outgoing, Reason, Session, reach

ROOT = Path(__file__).parents[2]
OPEN_FILES = Path("/proc/self/fd")
A_FACT = Outgoing("a/fact", b"x")


def address(broker: FaultBroker, **options: Any) -> Address:
    return Address.parse(broker.url, **options)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0x00, Reason.OK),
        (0x10, Reason.NOBODY),
        (0x80, Reason.UNSPECIFIED),
        (0x87, Reason.REFUSED),
        (0x90, Reason.BAD_TOPIC),
        (0x95, Reason.TOO_LARGE),
        (0x97, Reason.QUOTA),
        (0x99, Reason.BAD_FORMAT),
    ],
)
async def test_publish_gives_back_the_broker_s_reason(code: int, reason: Reason) -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        broker.puback = code
        session = await link.session()
        assert await session.publish(A_FACT) is reason
        assert reason.failed == (code >= 0x80)


@pytest.mark.parametrize("code", [0x01, 0x42, 0xFF])
async def test_a_reason_that_mqtt_does_not_know_there_ends_the_connection(code: int) -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        broker.puback = code
        session = await link.session()
        with pytest.raises(Gone):
            await session.publish(A_FACT)
        assert str(session.why) == "the broker broke the protocol"


async def test_a_swallowed_puback_ends_the_connection() -> None:
    async with FaultBroker() as broker, held(address(broker), answer_timeout=0.3) as link:
        broker.puback = None
        session = await link.session()
        others = [asyncio.create_task(session.publish(A_FACT)) for _ in range(300)]
        results = await asyncio.gather(*others, return_exceptions=True)
        assert all(isinstance(result, Gone) for result in results)
        assert session.over.is_set()
        assert str(session.why) == "the broker does not answer"
        broker.puback = 0
        assert await (await link.session()).publish(A_FACT) is Reason.OK


async def test_a_swallowed_suback_ends_the_connection() -> None:
    async with FaultBroker() as broker, held(address(broker), answer_timeout=0.3) as link:
        broker.suback = None
        session = await link.session()
        with pytest.raises(Gone):
            await session.subscribe("a/#")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_refused_subscription_names_its_filter(version: str) -> None:
    async with FaultBroker() as broker, held(address(broker, version=version)) as link:
        broker.suback = 0x80
        session = await link.session()
        with pytest.raises(NotAllowed) as refused:
            await session.subscribe("a/#")
        assert refused.value.filters == ["a/#"]
        assert refused.value.reason is Reason.UNSPECIFIED


async def test_everybody_who_waits_learns_of_the_end() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        broker.puback = None
        session = await link.session()

        async def read() -> None:
            async for _ in session.messages():
                pass

        waiting = [asyncio.create_task(session.publish(A_FACT)) for _ in range(450)]
        waiting.append(asyncio.create_task(read()))  # its result is Gone
        while len(broker.unanswered) < session.receive_maximum:
            await asyncio.sleep(0.01)
        broker.hang_up()
        results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
        assert all(isinstance(result, Gone) for result in results)
        with pytest.raises(Gone):
            await session.publish(A_FACT)
        with pytest.raises(Gone):
            await session.publish(Outgoing("a", b"", qos=0))
        with pytest.raises(Gone):
            await session.subscribe("a")


async def test_the_receive_maximum_of_the_broker_is_kept() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        broker.connack_properties = b"\x21\x00\x07"
        broker.puback = None
        broker.hang_up()
        session = await link.session()
        while session.receive_maximum != 7:  # the first connection came before the property
            broker.hang_up()
            session = await link.session()
        tasks = [
            asyncio.create_task(session.publish(Outgoing("a", b"%d" % number)))
            for number in range(20)
        ]
        while len(broker.unanswered) < 7:
            await asyncio.sleep(0.01)
        tasks[3].cancel()  # gives its place back only when its PUBACK comes
        await session.publish(Outgoing("reading", b"", qos=0))  # readings have no window
        await asyncio.sleep(0.2)
        assert len(broker.published) == 7
        while len(broker.published) < 20:
            broker.answer()
            await asyncio.sleep(0.01)
            assert len(broker.unanswered) <= 7
        broker.answer()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [r for r in results if not isinstance(r, asyncio.CancelledError)] == [Reason.OK] * 19
        assert [body.rpartition(b"\0")[2] for body in broker.published] == [
            b"%d" % number for number in range(20)
        ]


async def test_a_packet_too_large_for_the_broker_is_not_even_sent() -> None:
    async with FaultBroker() as broker:
        broker.connack_properties = b"\x27" + (1000).to_bytes(4, "big")
        async with held(address(broker)) as link:
            session = await link.session()
            assert await session.publish(Outgoing("a", b"x" * 1000)) is Reason.TOO_LARGE
            assert await session.publish(Outgoing("a", b"x" * 900)) is Reason.OK
            assert len(broker.published) == 1


async def test_a_connack_that_never_comes_is_given_up() -> None:
    async with FaultBroker() as broker, held(address(broker), connect_timeout=0.1) as link:
        broker.connack = None
        state = await link.becomes("link.down")
        assert state.params["detail"] == "no answer within 0.2 s"
        broker.connack = 0
        await link.session()


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (0x84, "link.version"),
        (0x85, "link.refused"),
        (0x86, "link.refused"),
        (0x87, "link.refused"),
        (0x8A, "link.refused"),
        (0x88, "link.down"),
        (0x97, "link.down"),
        (0xFF, "link.down"),
    ],
)
async def test_a_connection_refused_says_why(code: int, key: str) -> None:
    async with FaultBroker() as broker:
        broker.connack = code
        with pytest.raises(Down) as refused:
            await reach(address(broker))
        assert refused.value.key == key


@pytest.mark.parametrize(
    ("code", "key"),
    [(2, "link.refused"), (4, "link.refused"), (5, "link.refused"), (3, "link.down")],
)
async def test_a_connection_refused_in_3_1_1_says_why(code: int, key: str) -> None:
    async with FaultBroker() as broker:
        broker.connack = code
        with pytest.raises(Down) as refused:
            await reach(address(broker, version="3.1.1"), client_id="test")
        assert refused.value.key == key


async def test_wrong_credentials_are_not_hammered() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        broker.connack = 0x86
        await link.becomes("link.refused")
        await asyncio.sleep(2.5)  # an ordinary first pause is at most 1 s
        assert len(broker.connects) == 1


async def test_being_replaced_by_another_is_said() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        await link.session()
        broker.send(b"\xe0\x02\x8e\x00")
        await link.becomes("link.taken")


async def test_the_next_address_is_tried_at_once() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        dead = Address("127.0.0.1", nobody.getsockname()[1])
        async with FaultBroker() as broker, held(dead, address(broker)) as link:
            session = await link.session()
            assert session.address.port == broker.port
            assert link.link.state.get().params == {"host": broker.url}


async def test_a_machine_that_does_not_exist_is_down() -> None:
    with pytest.raises(Down) as down:
        await reach(Address("no-such-machine.invalid", 1883), connect_timeout=5)
    assert down.value.key == "link.down"


async def test_nagle_is_off() -> None:
    """Seen from outside: the option of the client's own socket."""
    async with FaultBroker() as broker, held(address(broker)) as link:
        await link.session()
        ours = []
        for path in OPEN_FILES.iterdir():
            try:
                with socket.socket(fileno=os.dup(int(path.name))) as sock:
                    if sock.getpeername() == ("127.0.0.1", broker.port):
                        ours.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            except OSError:
                continue
        assert ours == [1]


async def test_messages_wait_for_done_and_are_acknowledged_once() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        session = await link.session()
        stream = session.messages()
        broker.send(publish(b"a", b"1", mid=5) + publish(b"a", b"2", mid=6))
        first, second = await anext(stream), await anext(stream)
        assert await session.publish(A_FACT) is Reason.OK  # a round trip: an ack would be there
        assert broker.acknowledged == []
        first.done()
        first.done()
        assert await session.publish(A_FACT) is Reason.OK
        assert broker.acknowledged == [5]
        broker.hang_up()
        with pytest.raises(Gone):
            await anext(stream)
        second.done()  # of a connection that is no more: nothing happens


async def test_our_receive_maximum_is_told_to_the_broker() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        await link.session()
        assert b"\x21\x00\x64" in broker.connects[0]


async def test_readings_for_a_slow_reader_are_bounded_and_facts_are_not_lost() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        session = await link.session()
        for number in range(1500):
            broker.send(publish(b"value", b"%d" % number))
        broker.send(publish(b"fact", b"kept", mid=9))
        assert await session.publish(A_FACT) is Reason.OK
        seen = []
        async for message in session.messages():
            seen.append(message.body)
            if message.topic == "fact":
                break
        assert len(seen) == 1001


async def test_a_bug_in_up_comes_out_and_gone_does_not() -> None:
    async with FaultBroker() as broker:
        link = Link([address(broker)], client_id="test")
        calls = 0

        async def up(session: Session) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                async with asyncio.TaskGroup() as group:  # as delivery does
                    group.create_task(session.publish(A_FACT))
                    broker.hang_up()
            raise ZeroDivisionError

        broker.puback = None
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(link.run(up), 20)
        assert calls == 2
        assert not link.state.get().up


async def test_up_may_say_goodbye_when_the_program_ends() -> None:
    async with FaultBroker() as broker:
        link = Link([address(broker)], client_id="test")
        ready = asyncio.Event()

        async def up(session: Session) -> None:
            ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                assert await session.publish(Outgoing("state", b"offline")) is Reason.OK

        task = asyncio.create_task(link.run(up))
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(broker.published) == 1


async def test_a_connection_leaves_nothing_behind() -> None:
    async with FaultBroker() as broker:
        await reach(address(broker))
        gc.disable()
        try:
            before = len(list(OPEN_FILES.iterdir()))
            for _ in range(5):
                await reach(address(broker))
            await asyncio.sleep(0.1)
            assert len(list(OPEN_FILES.iterdir())) <= before
            assert not [t for t in threading.enumerate() if t.name == "mqtt"]
        finally:
            gc.enable()


async def test_one_line_down_one_line_up_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with FaultBroker() as broker:
        broker.connack = None
        where = address(broker, user="station", password="hush-hush")
        async with held(where, connect_timeout=0.05) as link:
            while len(broker.connects) < 3:
                await asyncio.sleep(0.02)
            broker.connack = 0
            session = await link.session()
            await session.publish(Outgoing("a", b"private"))
        levels = [record.levelname for record in caplog.records if record.name.startswith("mqtt")]
        assert levels == ["WARNING", "INFO"]
        assert "hush-hush" not in caplog.text
        assert "private" not in caplog.text
        assert b"hush-hush" in broker.connects[0]


def test_models_and_topics_do_not_load_the_client_library() -> None:
    code = "import sys, mqtt.messages, mqtt.topics, mqtt.address; sys.exit('paho' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_one_file_knows_the_client_library() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("[a-z]*/**/*.py")
        if "import paho" in (text := path.read_text()) or "from paho" in text
    }
    assert users - {"tests/mqtt/test_link_faults.py"} == {"mqtt/wire.py"}
