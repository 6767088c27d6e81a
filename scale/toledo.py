"""The driver of a Mettler-Toledo 8217 scale (Ariva, Viva, Diva, many scanner-scales).

The one rule: a number is shown only while the scale keeps answering it. A condition, a doubtful
frame or silence takes it away; a late answer is never taken for the next request's.

The protocol numbers nothing and protects nothing beyond parity. So: one request in flight, and
input thrown away before each. After a missed answer no weight is believed until the scale has
repeated a word in echo mode, which shows that all older answers have come, or until the line has
been silent for longer than any answer takes. A weight is believed only in the shape (length and
place of the point) that this scale's weights have, because a lost character changes the shape, and
is steady when it was given twice (`scale.steady`). Zero and tare happen only when a person asks.

At the rate that a shop's screen wants, being woken is what costs the processor. So an answer is
picked up when the line has had the time to carry it, not byte by byte; and while the load rests,
only when the next request is due. There, bytes that came before mean what they meant before.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from devices import DeviceError, Lost, Refused
from devices.ports import Line, Port, node, open_port, plugged
from scale.steady import Steady
from scale.toledo_wire import (
    CLEAR_TARE,
    DECIMALS,
    ECHO_OFF,
    ECHO_ON,
    TARE,
    WEIGH,
    ZERO,
    Codec,
    Echo,
    Echoed,
    Event,
    Flags,
    Shape,
    Status,
    Weighed,
    decode,
)
from scale.weight import Scale, Weight

__all__ = ["Toledo8217", "ToledoSettings", "decode", "identify"]

_MISSES = 3
_DOUBTS = 3
"""As many weights of a wrong shape, one after the other, are a missed answer."""
_COMMAND_EXTRA = 0.15
"""Zero, tare and clear may take this much longer than a weight."""
_REMEMBERED = 128
"""Bytes: more than what the newest frame can be, and what can follow it unfinished."""
_EXCHANGE = 10 * 10
"""Bits on the line from the request to the end of the longest answer, and one byte's time more."""
_SETTLED = 1.0
"""The weight changes until it has been the same for this long."""
_WORD = b"hello"
_NOISY = 20.0
"""Seconds after which a line that never rests is given up."""
_LATEST = 1.5
"""Seconds: no answer comes later. Boxes that carry a serial line over a network delay some by more
than a second."""


class ToledoSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str
    unit: Literal["kg", "lb"] = "kg"
    """What the scale was set to: it is not on the wire."""
    baud: int = Field(default=9600, ge=1200, le=115_200)
    bits: Literal[7, 8] = 7
    parity: Literal["N", "E", "O"] = "E"
    stop: Literal[1, 2] = 1
    poll_ms: int = Field(default=25, ge=10, le=100)
    """From one request to the next while nothing changes; while it does, there is no pause.

    A change then takes up to twice as long to be seen."""
    timeout_ms: int = Field(default=250, ge=150, le=500)
    """Without an answer for this long the weight is no longer known."""


@dataclass(eq=False, slots=True)
class _Order:
    """A person's request, waiting for its turn between two weighings."""

    request: bytes
    refusal: Callable[[Flags], str]
    done: asyncio.Future[None]


class Toledo8217(Scale):
    """One 8217. Implements `Tares` and `Zeroes`; both raise `DeviceError` when it says no."""

    Settings: ClassVar[type[BaseModel]] = ToledoSettings

    def __init__(self, name: str, settings: ToledoSettings) -> None:
        super().__init__(name)
        self.settings = settings
        self._orders: deque[_Order] = deque()
        self._running = False

    async def plugged(self) -> None:
        await plugged(self.settings.port)

    def node(self) -> object:
        return node(self.settings.port)

    async def run(self) -> None:
        settings = self.settings
        line = Line(settings.baud, settings.bits, settings.parity, settings.stop)
        async with open_port(settings.port, line) as port:
            self._running = True
            try:
                await _Polling(self, port, self._orders).forever()
            finally:
                self._running = False
                self._dismiss()

    async def zero(self) -> None:
        await self._order(ZERO, _why_not_zeroed)

    async def tare(self) -> None:
        await self._order(TARE, _why_not_tared)

    async def clear_tare(self) -> None:
        await self._order(CLEAR_TARE, _why_not_cleared)

    async def _order(self, request: bytes, refusal: Callable[[Flags], str]) -> None:
        if not self._running:
            raise Lost("device.unplugged")
        order = _Order(request, refusal, asyncio.get_running_loop().create_future())
        self._orders.append(order)
        await order.done

    def _dismiss(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            if not order.done.done():
                order.done.set_exception(Lost("device.unplugged"))


class _Polling:
    """One open port: asks, believes or doubts, and asks again."""

    def __init__(self, scale: Toledo8217, port: Port, orders: deque[_Order]) -> None:
        self._scale = scale
        self._port = port
        self._orders = orders
        self._codec = Codec()
        self._timeout = scale.settings.timeout_ms / 1000
        self._exchange = _EXCHANGE / scale.settings.baud
        self._poll = max(scale.settings.poll_ms / 1000, self._exchange)
        self._decimals = DECIMALS[scale.settings.unit]
        self._shape = Shape(scale.settings.unit)
        self._misses = 0
        self._doubts = 0
        self._steady = Steady()
        self._heard = b""
        """All bytes of the last exchange that meant something."""

    async def forever(self) -> None:
        # An answer to whoever asked before may still be on its way.
        await self._catch_up()
        while True:
            while self._orders:
                # It leaves the queue last: what interrupts it then still finds it, and says so.
                await self._obey(self._orders[0])
                self._orders.popleft()
            event = await (self._watch() if self._settled else self._ask(WEIGH, self._timeout))
            if isinstance(event, Status):
                self._condition(event)
            elif not (isinstance(event, Weighed) and self._believe(event)):
                await self._missed()

    @property
    def _settled(self) -> bool:
        """The last answer gave the weight that is shown, and it has been the same for a while."""
        since = self._steady.settled_since
        if self._doubts or since is None:
            return False
        return asyncio.get_running_loop().time() - since > _SETTLED

    async def _watch(self) -> Event | None:
        """Ask for the weight until another answer comes, or an order; then as `_ask`."""
        heard = await self._port.repeat(WEIGH, self._heard, self._poll, self._same)
        return await self._answer(heard, self._timeout - self._poll, (Weighed, Status))

    def _same(self) -> bool:
        reading = self._scale.reading
        if weight := reading.get():
            reading.set(replace(weight, at=time.monotonic()))
        return not self._orders

    async def _ask(
        self, request: bytes, timeout: float, wanted: tuple[type[Event], ...] = (Weighed, Status)
    ) -> Event | None:
        """Send a request; the newest event of what comes back, or None when it does not in time."""
        self._port.discard()
        await self._port.write(request)
        heard = await self._port.later(self._exchange)
        return await self._answer(heard, timeout - self._exchange, wanted)

    async def _answer(
        self, heard: bytes, timeout: float, wanted: tuple[type[Event], ...]
    ) -> Event | None:
        """What the bytes heard since the request mean, with those that are still to come."""
        port, codec = self._port, self._codec
        codec.reset()
        events = codec.feed(heard)
        if not (events and isinstance(events[-1], wanted)):
            try:
                async with asyncio.timeout(timeout):
                    while not (events and isinstance(events[-1], wanted)):
                        rest = port.later(self._exchange / 4) if codec.inside else port.read()
                        more = await rest
                        events = codec.feed(more)
                        heard = (heard + more)[-_REMEMBERED:]
            except TimeoutError:
                return None
        self._heard = heard
        return events[-1]

    def _condition(self, status: Status) -> None:
        flags = status.flags
        self._found(
            Weight(
                value=None,
                unit=self._scale.settings.unit,
                stable=Flags.MOTION not in flags,
                net=Flags.NET in flags,
                zero=Flags.CENTER_ZERO in flags,
                over=Flags.OVER in flags,
                under=Flags.UNDER in flags,
                raw=bytes([0x3F, status.byte]),
            )
        )

    def _believe(self, weighed: Weighed) -> bool:
        """Take a weight of the right shape. Doubt another; False when the doubts are too many."""
        if not self._shape.fits(weighed):
            self._doubts += 1
            return self._doubts <= _DOUBTS
        unit = self._scale.settings.unit
        if weighed.value.as_tuple().exponent != -self._decimals:
            raise Refused("scale.wrong_unit", unit=unit)
        self._found(
            Weight(
                weighed.value,
                unit,
                stable=True,
                net=weighed.net,
                over=False,
                under=False,
                raw=weighed.raw,
            )
        )
        return True

    def _found(self, weight: Weight) -> None:
        scale = self._scale
        if scale.reading.get() is None:
            scale.is_up()
        self._misses = self._doubts = 0
        shown = self._steady.take(weight, asyncio.get_running_loop().time())
        if shown is not None:
            scale.reading.set(shown)

    async def _missed(self) -> None:
        """No weight that can be shown: say so, and let late answers pass before asking again."""
        self._nothing_known()
        self._misses += 1
        if self._misses >= _MISSES:
            raise Lost("device.silent")
        await self._catch_up()

    def _nothing_known(self) -> None:
        self._scale.reading.set(None)
        self._steady.forget()
        self._doubts = 0

    async def _catch_up(self) -> None:
        """Return when what comes next is the answer to what is asked next.

        Answers come in the order of their requests: before a word that the scale repeats, all older
        ones have come. One that does not repeat it has to be silent for a while.
        """
        codec, events = Codec(), list[Event]()
        self._port.discard()
        try:
            async with asyncio.timeout(_NOISY):
                await self._port.write(ECHO_ON + _WORD)
                while not _repeated(events) and (heard := await self._heard_soon()):
                    events = (events + codec.feed(heard))[-64:]
        except TimeoutError:
            raise Lost("device.silent") from None
        await _exchange(self._port, ECHO_OFF, self._timeout, _left_echo)

    async def _heard_soon(self) -> bytes:
        """What comes next; b"" when nothing more can come."""
        try:
            async with asyncio.timeout(_LATEST):
                return await self._port.read()
        except TimeoutError:
            return b""

    async def _obey(self, order: _Order) -> None:
        if order.done.done():  # whoever asked has gone
            return
        self._nothing_known()  # what was shown is about to mean something else
        timeout = self._timeout + _COMMAND_EXTRA
        event = await self._ask(order.request, timeout, (Status,))
        key = order.refusal(event.flags) if isinstance(event, Status) else "device.silent"
        if key and not order.done.done():
            order.done.set_exception(DeviceError(key))
        elif not order.done.done():
            order.done.set_result(None)
        if not isinstance(event, Status):
            await self._missed()


def _why_not_zeroed(flags: Flags) -> str:
    if Flags.MOTION in flags:
        return "scale.moving"
    return "" if Flags.CENTER_ZERO in flags else "scale.zero_refused"


def _why_not_tared(flags: Flags) -> str:
    """NET alone proves nothing: it stays from a tare taken before, whatever became of this one."""
    if Flags.MOTION in flags:
        return "scale.moving"
    taken = Flags.NET in flags and not flags & (Flags.OVER | Flags.UNDER)
    return "" if taken else "scale.tare_refused"


def _why_not_cleared(flags: Flags) -> str:
    return "scale.tare_kept" if Flags.NET in flags else ""


def _repeated(events: list[Event]) -> bool:
    said = b"".join(event.data for event in events if isinstance(event, Echoed))
    return Echo(on=True) in events and said.endswith(_WORD)


def _left_echo(events: list[Event]) -> bool:
    return Echo(on=False) in events


async def identify(port: Port, timeout: float = 0.5) -> bool:
    """Whether an 8217 is at the other end: it repeats a word in echo mode, then leaves that mode.

    Raises `Lost` when the port goes. Send this only where a stray "Ehello" does no harm.
    """
    try:
        return await _exchange(port, ECHO_ON + _WORD, timeout, _repeated)
    finally:
        await _exchange(port, ECHO_OFF, timeout, _left_echo)


async def _exchange(
    port: Port, request: bytes, timeout: float, enough: Callable[[list[Event]], bool]
) -> bool:
    """Send, and listen until the events are enough (True) or the time is over (False)."""
    codec = Codec()
    events: list[Event] = []
    port.discard()
    try:
        async with asyncio.timeout(timeout):
            await port.write(request)
            while not enough(events):
                events = (events + codec.feed(await port.read()))[-64:]
    except TimeoutError:
        return False
    return True
