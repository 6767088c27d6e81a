"""The link against bytes that are not MQTT: survived, and never a message."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fault_broker import FaultBroker, publish
from support.linked import held

from mqtt.link import Address, Gone, Outgoing, Reason

A_FACT = Outgoing("a/fact", b"x")


def address(broker: FaultBroker) -> Address:
    return Address.parse(broker.url)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x30\xff\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x00\x00",  # a packet type that is not
        b"\x40\x01\x00",  # a PUBACK cut short
        b"\x90\x02\x00\x01",  # a SUBACK without codes, of nothing that we asked
        b"\x32\x05\x00\x01a\x00",  # a PUBLISH whose packet id is cut short
        b"\x30\x04\x00\x02\xff\xfe",  # a topic that is no UTF-8, and no properties
        b"\x30\x0a\x00\x01a\x05\xff\xff\xff\xff\xffx",  # properties that are not
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
async def test_garbage_in_mid_connection_is_survived(garbage: bytes) -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        broker.mangle = garbage
        session = await link.session()
        with pytest.raises(Gone):
            await session.publish(A_FACT)
        broker.mangle = None
        assert await (await link.session()).publish(A_FACT) is Reason.OK


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=40))
async def test_no_bytes_hang_or_crash_the_link(noise: bytes) -> None:
    async with FaultBroker() as broker:
        broker.mangle = noise
        async with held(address(broker), answer_timeout=5) as link:
            session = await link.session()
            with pytest.raises(Gone):
                await session.publish(A_FACT)


async def test_a_topic_that_is_no_text_is_acknowledged_and_forgotten() -> None:
    async with FaultBroker() as broker, held(address(broker)) as link:
        session = await link.session()
        broker.send(publish(b"\xff\xfe", b"", mid=3) + publish(b"a", b"next"))
        assert (await anext(session.messages())).body == b"next"
        assert await session.publish(A_FACT) is Reason.OK
        assert broker.acknowledged == [3]
