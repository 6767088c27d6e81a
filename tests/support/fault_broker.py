"""A broker that misbehaves on order, because no real one can be told to.

::

    async with FaultBroker() as broker:
        broker.puback = 0x97          # answers each publish so; None swallows the answer
        broker.connack = None         # keeps silent after CONNECT
        broker.mangle = b"\\x30\\xff"   # says this instead of a PUBACK, then hangs up

It speaks as much of MQTT 5 and 3.1.1 as a client needs to get that far; it routes nothing.
`broker.send` puts bytes of a test's own on the wire.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from support.serving import serving

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14


def publish(topic: bytes, body: bytes, *, mid: int = 0, properties: bytes | None = b"") -> bytes:
    """A PUBLISH packet, QoS 1 where `mid` is given; `properties` None for MQTT 3.1.1."""
    rest = len(topic).to_bytes(2, "big") + topic
    rest += mid.to_bytes(2, "big") if mid else b""
    rest += b"" if properties is None else bytes([len(properties)]) + properties
    rest += body
    assert len(rest) < 128
    return bytes([0x32 if mid else 0x30, len(rest)]) + rest


class FaultBroker:
    """`connack`/`puback`/`suback` are the reason codes answered, None for no answer at all."""

    def __init__(self) -> None:
        self.connack: int | None = 0
        self.connack_properties = b""
        self.puback: int | None = 0
        self.suback: int | None = 1
        self.mangle: bytes | None = None
        self.port = 0
        self.connects: list[bytes] = []
        """The body of each CONNECT."""
        self.published: list[bytes] = []
        """The body of each PUBLISH, in order."""
        self.acknowledged: list[int] = []
        """The packet ids the client sent a PUBACK for."""
        self.unanswered: list[int] = []
        self._stack = AsyncExitStack()
        self._writers: set[asyncio.StreamWriter] = set()
        self._v5 = True

    @property
    def messages(self) -> list[tuple[str, bytes]]:
        """Topic and payload of each PUBLISH, in order."""
        return [_message(body, v5=self._v5) for body in self.published]

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self.port = await self._stack.enter_async_context(serving(self._serve))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def send(self, data: bytes) -> None:
        """Say these bytes to every client."""
        for writer in self._writers:
            writer.write(data)

    def hang_up(self) -> None:
        """Close every connection, without a word."""
        for writer in self._writers:
            writer.transport.abort()

    def answer(self, code: int = 0) -> None:
        """Send the PUBACKs that were swallowed until now."""
        for mid in self.unanswered:
            self.send(self._puback(mid, code))
        self.unanswered.clear()

    def _puback(self, mid: int, code: int) -> bytes:
        packet = mid.to_bytes(2, "big")
        if self._v5:
            packet += bytes([code, 0])
        return bytes([PUBACK << 4, len(packet)]) + packet

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._talk(reader, writer)
        finally:
            self._writers.discard(writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readexactly(1))[0]
            body = await reader.readexactly(await _length(reader))
            match head >> 4:
                case kind if kind == CONNECT:
                    self.connects.append(body)
                    self._v5 = body[6] == 5
                    if self.connack is not None:
                        rest = bytes([0, self.connack])
                        if self._v5:
                            rest += bytes([len(self.connack_properties)]) + self.connack_properties
                        writer.write(bytes([0x20, len(rest)]) + rest)
                case kind if kind == PUBLISH and head & 0x06:
                    self.published.append(body)
                    at = 2 + int.from_bytes(body[:2], "big")
                    mid = int.from_bytes(body[at : at + 2], "big")
                    if self.mangle is not None:
                        writer.write(self.mangle)
                        await writer.drain()
                        return
                    if self.puback is None:
                        self.unanswered.append(mid)
                    else:
                        writer.write(self._puback(mid, self.puback))
                case kind if kind == PUBACK:
                    self.acknowledged.append(int.from_bytes(body[:2], "big"))
                case kind if kind == SUBSCRIBE and self.suback is not None:
                    properties = b"\0" if self._v5 else b""
                    rest = body[:2] + properties + bytes([self.suback])
                    writer.write(bytes([0x90, len(rest)]) + rest)
                case kind if kind == PINGREQ:
                    writer.write(b"\xd0\x00")
                case kind if kind == DISCONNECT:
                    return


def _message(body: bytes, *, v5: bool) -> tuple[str, bytes]:
    at = 2 + int.from_bytes(body[:2], "big")
    topic, rest = body[2:at].decode(), body[at + 2 :]  # between them stands the packet's id
    if v5:
        length, digits = 0, 0
        while True:
            length |= (rest[digits] & 127) << 7 * digits
            digits += 1
            if rest[digits - 1] < 128:
                break
        rest = rest[digits + length :]
    return topic, rest


async def _length(reader: asyncio.StreamReader) -> int:
    shift = value = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return value
