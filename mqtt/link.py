"""The link to a broker, kept for ever: connect, back off, try the next, say how it is.

The one rule: whoever stands on a link learns at once that it is gone, and the link alone decides
when to try again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from devices.value import Value
from mqtt.address import Address
from mqtt.packets import Down, Gone, Incoming, NotAllowed, Outgoing, Reason
from mqtt.session import Session
from mqtt.tls import Tls
from mqtt.wire import MAX_PACKET, Settings

__all__ = [
    "Address",
    "Down",
    "Gone",
    "Incoming",
    "Link",
    "LinkState",
    "NotAllowed",
    "Outgoing",
    "Reason",
    "Session",
    "Tls",
    "reach",
]

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
STEADY = 30.0
"""A connection that lasted this long (s) makes the next back-off begin again."""
ALIVE_S = 2.0
"""How often a link that works says so, in seconds."""


def _nobody() -> None:
    """Nobody watches this link."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether there is a connection, the catalogue key that explains it, and since when.

    Keys: link.connecting, link.up, link.v311 (up, on MQTT 3.1.1), link.down, link.refused,
    link.tls, link.version, link.taken; with `host` and `detail` (technical, English).
    """

    up: bool
    key: str
    params: Mapping[str, str] = field(default_factory=dict)
    since: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)


class Link:
    """Keeps one connection to one of several brokers, for ever."""

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        client_id: str,
        will: Callable[[], Outgoing] | None = None,
        clean: bool = True,
        session_expiry: int = 0,
        keepalive: int = 30,
        connect_timeout: float = 5.0,
        answer_timeout: float = 20.0,
        max_packet: int = MAX_PACKET,
        alive: Callable[[], None] = _nobody,
    ) -> None:
        """`will` is asked for anew at each connection, in the connection's thread.

        `max_packet`: what is larger (in bytes) does not come, on MQTT 5. `alive` is called every
        few seconds while `run` works, also when there is no connection; a watchdog may listen.
        """
        self._addresses = tuple(addresses)
        self._settings = Settings(
            client_id,
            will,
            clean,
            session_expiry,
            keepalive,
            connect_timeout,
            answer_timeout,
            max_packet,
        )
        self._alive = alive
        self._warned = False
        self.state = Value(LinkState(up=False, key="link.connecting"))

    async def run(self, up: Callable[[Session], Awaitable[None]]) -> None:
        """Connect, hold `up(session)` while the connection lasts, and begin again.

        The addresses are tried in turn, then there is a pause of 1 … 60 s with full jitter. `up`
        is cancelled when the connection ends, and may still publish while it cleans up after a
        cancelled `run`. Whatever it raises but `Gone` ends `run`.
        """
        failures = 0
        try:
            while True:
                refused = 0
                for address in self._addresses:
                    self._alive()
                    session = Session(address, self._settings)
                    try:
                        await session.open()
                    except Down as down:
                        self._is_down(address, down)
                        refused += down.key == "link.refused"
                        continue
                    self._is_up(address)
                    began = asyncio.get_running_loop().time()
                    await self._hold(session, up)
                    self._is_down(address, session.why)
                    if asyncio.get_running_loop().time() - began >= STEADY:
                        failures = 0
                    break
                await self._rest(pause(failures, longest=refused == len(self._addresses)))
                failures += 1
        finally:
            self._say(LinkState(up=False, key="link.down"))

    async def _hold(self, session: Session, up: Callable[[Session], Awaitable[None]]) -> None:
        work = asyncio.ensure_future(up(session))
        over = asyncio.ensure_future(session.over.wait())
        ended: set[asyncio.Future[Any]] = set()
        try:
            while not ended:
                if session.turning:
                    self._alive()
                ended, _ = await asyncio.wait(
                    {work, over}, timeout=ALIVE_S, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            over.cancel()
            work.cancel()
            await asyncio.wait({work})
            error = None if work.cancelled() else work.exception()
            await session.close()
        if error is not None and not _only_gone(error):
            raise error

    async def _rest(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            self._alive()
            await asyncio.sleep(min(left, ALIVE_S))

    def _is_up(self, address: Address) -> None:
        old = address.version == "3.1.1"
        log.info("link up: %s, MQTT %s", address, address.version)
        if old and not self._warned:
            self._warned = True
            log.warning("link.v311: on MQTT 3.1.1 %s cannot say that it refused a message", address)
        self._say(LinkState(True, "link.v311" if old else "link.up", {"host": str(address)}))

    def _is_down(self, address: Address, down: Down) -> None:
        before = self.state.get()
        first = before.up or before.key == "link.connecting"
        log.log(logging.WARNING if first else logging.DEBUG, "%s: %s: %s", down.key, address, down)
        self._say(LinkState(False, down.key, {"host": str(address), "detail": str(down)}))

    def _say(self, state: LinkState) -> None:
        if state != self.state.get():  # an equal one would only move `since`
            self.state.set(state)


async def reach(address: Address, *, client_id: str = "", connect_timeout: float = 5.0) -> None:
    """Connect once and hang up: does this broker let us in? Raises `Down` with the reason."""
    session = Session(address, Settings(client_id, connect_timeout=connect_timeout))
    await session.open()
    await session.close()


def pause(failures: int, *, longest: bool = False) -> float:
    """Seconds before the next round: full jitter, so that 10,000 stations do not come at once.

    `longest`: only a person can mend it, so insisting is pointless.
    """
    if longest:
        return random.uniform(LONGEST_WAIT / 2, LONGEST_WAIT)  # noqa: S311 - no secret
    ceiling = min(FIRST_WAIT * 2 ** min(failures, 10), LONGEST_WAIT)
    return random.uniform(0, ceiling)  # noqa: S311 - no secret


def _only_gone(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(Gone)[1] is None
    return isinstance(error, Gone)
