"""What goes over a link: messages out, messages in, and what a broker answers.

The one rule: only `Reason.OK` means that the broker has a message *and* somebody who will get it.
Anything else is "not sent" (MQTT 5.0, 3.4.2.1), and even OK is not delivery: that is the bridge's
own acknowledgement.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self


class Gone(Exception):
    """The connection has ended. Whatever was on its way may or may not have arrived."""


class Reason(IntEnum):
    """MQTT 5 reason codes (2.4) that we act on; any other byte is a member too, named by value."""

    OK = 0x00
    NOBODY = 0x10
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    PROTOCOL = 0x82
    IMPLEMENTATION = 0x83
    VERSION = 0x84
    CLIENT_ID = 0x85
    PASSWORD = 0x86
    REFUSED = 0x87
    UNAVAILABLE = 0x88
    BUSY = 0x89
    BANNED = 0x8A
    METHOD = 0x8C
    TAKEN_OVER = 0x8E
    BAD_TOPIC = 0x90
    TOO_LARGE = 0x95
    QUOTA = 0x97
    BAD_FORMAT = 0x99

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFF:
            return None
        other = int.__new__(cls, value)
        other._name_, other._value_ = f"0x{value:02X}", value
        return other

    @property
    def failed(self) -> bool:
        """The broker did not take it. (NOBODY is no failure, but not sent either.)"""
        return self >= Reason.UNSPECIFIED


class Down(Exception):
    """Why there is no connection: `key` for people, the sentence for technicians."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(detail)
        self.key = key

    @classmethod
    def by_broker(cls, reason: Reason) -> Self:
        """The broker itself said no, or goodbye."""
        return cls(_KEYS.get(reason, "link.down"), f"the broker says {reason.name}")


_KEYS = {
    Reason.CLIENT_ID: "link.refused",
    Reason.PASSWORD: "link.refused",
    Reason.REFUSED: "link.refused",
    Reason.BANNED: "link.refused",
    Reason.METHOD: "link.refused",
    Reason.VERSION: "link.version",
    Reason.TAKEN_OVER: "link.taken",
}


class NotAllowed(Exception):
    """The broker refused a subscription."""

    def __init__(self, filters: list[str], reason: Reason) -> None:
        super().__init__(f"{', '.join(filters)}: {reason.name}")
        self.filters = filters
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. `expiry` is in seconds; all after it is left out on MQTT 3.1.1."""

    topic: str
    body: bytes = field(repr=False)
    qos: int = 1
    retain: bool = False
    expiry: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    response_topic: str | None = None
    correlation: bytes | None = None

    @property
    def size(self) -> int:
        """At least as many bytes as the packet will have, against a broker's maximum."""
        texts = [self.topic, self.response_topic or ""]
        for name, value in self.properties.items():
            texts += (name, value)
        return (
            len(self.body)
            + len(self.correlation or b"")
            + 32
            + sum(len(text.encode()) + 5 for text in texts)
        )


class Incoming:
    """A message received. `done()` says that it is safe with us; until then the broker keeps it.

    Messages are done in the order in which they came (MQTT 5.0, 4.6). At most 100 may be undone
    at a time on MQTT 5: then the broker waits, which is how a slow reader holds back the world.
    """

    __slots__ = ("_ack", "body", "correlation", "properties", "response_topic", "retain", "topic")

    def __init__(
        self,
        topic: str,
        body: bytes,
        *,
        retain: bool = False,
        properties: Mapping[str, str] | None = None,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        ack: Callable[[], None] | None = None,
    ) -> None:
        self.topic = topic
        self.body = body
        self.retain = retain
        self.properties = properties or {}
        self.response_topic = response_topic
        self.correlation = correlation
        self._ack = ack

    def __repr__(self) -> str:
        return f"Incoming({self.topic!r}, {len(self.body)} bytes)"

    def done(self) -> None:
        """Send the PUBACK, once. After the connection has ended this does nothing."""
        ack, self._ack = self._ack, None
        if ack is not None:
            ack()
