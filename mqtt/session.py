"""One connection as the rest of the program sees it: publish, subscribe, read.

The one rule: nothing ever hangs. Whoever waits when the connection ends gets `Gone`, and a broker
that swallows an answer is hung up on.

A broker answers in the order in which it was asked (MQTT 5.0, 4.6), so only the oldest question is
timed: on a slow line two hundred answers may take minutes, but each comes soon after the one
before. While one large message is coming, the answers behind it are waited for.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

from mqtt.address import Address
from mqtt.packets import Down, Gone, Incoming, NotAllowed, Outgoing, Reason
from mqtt.wire import Settings, Welcome, Wire

IN_FLIGHT = 200
"""At most this many publishes wait for their PUBACK, or the broker's Receive Maximum if less."""
READINGS = 1000
"""QoS 0 messages kept for a slow reader; those that come after are dropped: they are readings."""
_MORE_THAN_PINGS = 1000
"""Bytes. What came without being a whole message is then a part of a large one."""


class Session:
    """From the broker's yes to the end of the connection. Made by `Link`."""

    def __init__(self, address: Address, settings: Settings) -> None:
        self.address = address
        self.receive_maximum = IN_FLIGHT
        self.session_present = False
        """The broker remembered us, and will send again what was not `done()`."""
        self.over = asyncio.Event()
        self.why = Down("link.down", "connection lost")
        """Once `over`: what ended it."""
        self._settings = settings
        self._wire = Wire(address, settings, self)
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._finished = asyncio.Event()
        self._max_packet = 0
        self._window = asyncio.Semaphore(IN_FLIGHT)
        self._in_flight: set[int] = set()
        self._answers: dict[int, asyncio.Future[list[int]]] = {}
        """What is asked and not answered, oldest first."""
        self._patience: asyncio.TimerHandle | None = None
        self._heard = False
        """Whether a whole message or an answer came since the oldest question is timed."""
        self._bytes_before = 0
        self._inbox: deque[Incoming] = deque()
        self._arrived = asyncio.Event()

    async def publish(self, message: Outgoing) -> Reason:
        """Send, wait for the broker's answer and give it back. Raises `Gone`.

        QoS 0 has no answer: OK then means that the bytes left for the network. Calls are sent in
        the order in which they were made.
        """
        if message.size > self._max_packet:
            return Reason.TOO_LARGE
        if message.qos == 0:
            return Reason((await self._answer(self._send(message)))[0])
        await self._window.acquire()
        try:
            mid = self._send(message)
        except BaseException:
            self._window.release()
            raise
        # From here on the place in the window comes free with the PUBACK, not with this call.
        self._in_flight.add(mid)
        return Reason((await self._answer(mid))[0])

    async def subscribe(self, *filters: str) -> None:
        """Ask for these topics at QoS 1. Raises `NotAllowed` or `Gone`.

        A yes proves little: brokers may grant a filter and then withhold what it matches.
        """
        codes = await self._answer(self._wire.subscribe(filters))
        refused = [i for i, code in enumerate(codes) if Reason(code).failed]
        if refused:
            raise NotAllowed([filters[i] for i in refused], Reason(codes[refused[0]]))

    async def unsubscribe(self, *filters: str) -> None:
        """Want these topics no longer; what is on its way still comes. Raises `Gone`."""
        await self._answer(self._wire.unsubscribe(filters))

    @property
    def turning(self) -> bool:
        """Whether the connection's own thread is at work, and not held up somewhere."""
        return self._wire.turning

    async def messages(self) -> AsyncIterator[Incoming]:
        """Yield what comes in, to one reader; raises `Gone` at the end of the connection."""
        while not self.over.is_set():
            if self._inbox:
                yield self._inbox.popleft()
            else:
                self._arrived.clear()
                await self._arrived.wait()
        raise Gone(str(self.why))

    # --- its life, held by Link --------------------------------------------------------------

    async def open(self) -> None:
        """Connect. Raises `Down` within twice `connect_timeout`, whatever the network does."""
        self._wire.start()
        patience = 2 * self._settings.connect_timeout
        try:
            async with asyncio.timeout(patience):
                await self._accepted
        except TimeoutError:
            self._end(Down("link.down", f"no answer within {patience:g} s"))
            raise self.why from None
        except asyncio.CancelledError:
            self._end(self.why)
            raise

    async def close(self) -> None:
        """Hang up, so that the will is delivered if there is one. Takes at most 2 s."""
        if not self.over.is_set():
            self._wire.hang_up()
        try:
            await self._finish()
        finally:
            self._end(self.why)
        await self._finish()

    async def _finish(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._finished.wait()

    # --- what the wire tells -----------------------------------------------------------------

    def welcomed(self, welcome: Welcome) -> None:
        self.session_present = welcome.session_present
        self.receive_maximum = min(welcome.receive_maximum, IN_FLIGHT)
        self._max_packet = welcome.max_packet
        self._window = asyncio.Semaphore(self.receive_maximum)
        if not self._accepted.done():
            self._accepted.set_result(None)

    def answered(self, mid: int, codes: list[int]) -> None:
        self._heard = True
        if mid in self._in_flight:
            self._in_flight.discard(mid)
            self._window.release()
        answer = self._forget(mid)
        if answer is not None and not answer.done():
            answer.set_result(codes)

    def received(self, message: Incoming, *, reading: bool) -> None:
        self._heard = True
        if not reading or len(self._inbox) < READINGS:
            self._inbox.append(message)
            self._arrived.set()

    def turned_away(self, why: Down) -> None:
        self._end(why)

    def lost(self, why: Down) -> None:
        self._end(why)
        self._finished.set()

    # --- small parts -------------------------------------------------------------------------

    def _send(self, message: Outgoing) -> int:
        if self.over.is_set():
            raise Gone(str(self.why))
        try:
            return self._wire.publish(message)
        except Gone as gone:
            self._end(Down("link.down", str(gone)))
            raise

    async def _answer(self, mid: int) -> list[int]:
        answer: asyncio.Future[list[int]] = self._loop.create_future()
        self._answers[mid] = answer
        if self._patience is None:
            self._time_the_oldest()
        try:
            return await answer
        finally:
            self._forget(mid)

    def _forget(self, mid: int) -> asyncio.Future[list[int]] | None:
        """Take a question off the list; the next one is timed if this was the oldest."""
        oldest = next(iter(self._answers), None)
        answer = self._answers.pop(mid, None)
        if answer is not None and mid == oldest:
            self._time_the_oldest()
        return answer

    def _time_the_oldest(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._answers and not self.over.is_set():
            self._heard, self._bytes_before = False, self._wire.bytes_received
            patience = self._settings.answer_timeout
            self._patience = self._loop.call_later(patience, self._judge_silence)

    def _judge_silence(self) -> None:
        came = self._wire.bytes_received - self._bytes_before
        if not self._heard and came > _MORE_THAN_PINGS:
            self._time_the_oldest()
        else:
            self._end(Down("link.down", "the broker does not answer"))

    def _end(self, why: Down) -> None:
        """Nobody waits any longer, and the thread finds a closed socket."""
        if self.over.is_set():
            return
        self.why = why
        self.over.set()
        self._arrived.set()
        self._window.release()  # wakes the first of those who wait; each wakes the next
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Gone(str(why)))
        self._answers.clear()
        self._time_the_oldest()
        if not self._accepted.done():
            self._accepted.set_exception(why)
        self._wire.cut()
