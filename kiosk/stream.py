"""The event stream of a page: ``heartbeat``, ``screen`` and ``value`` events.

The one rule: the heartbeat is a named event, because its silence is how the page learns that the
station froze; between two of them nothing is sent that did not change. It comes every two seconds,
and on a page with a weight every half: a number that may be old has to go within one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from devices import Value
from kiosk.render import Values, clock_of
from kiosk.station import Station

HEARTBEAT_S, QUICK_S = 2.0, 0.5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class View:
    """One page as the web knows it: where its state is, how to draw it, what a tap does."""

    name: str
    page: Value[Any]
    tap: Callable[[str, str], None]
    draw: Callable[[Any], dict[str, object]]
    """The template's own values for a page."""
    frame: Callable[[Any], object]
    """What must be equal for a ``value`` event to be enough."""
    values: Callable[[Any], Values]
    beat_s: float = HEARTBEAT_S
    """From one heartbeat to the next. After two the page shows no number."""


def event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


def heartbeat(station: Station, every: float) -> bytes:
    beat = {"build": station.build, "clock": clock_of(station), "every": every}
    return event("heartbeat", json.dumps(beat))


async def events(station: Station, view: View, html: Callable[[Any], str]) -> AsyncIterator[bytes]:
    """For ever: first the whole screen, then what changes."""
    yield heartbeat(station, view.beat_s)
    last: Any = None
    async for page in beating(view.page.changes(), view.beat_s):
        if page is None:
            yield heartbeat(station, view.beat_s)
        elif last is not None and view.frame(page) == view.frame(last):
            yield event("value", json.dumps(view.values(page), ensure_ascii=False))
            last = page
        else:
            yield event("screen", html(page))
            last = page


async def beating(changes: AsyncIterator[T], period: float) -> AsyncIterator[T | None]:
    """What `changes` yields, and None each time `period` has passed."""
    clock = asyncio.get_running_loop().time
    beat = clock() + period
    following = asyncio.ensure_future(anext(changes))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=max(0.0, beat - clock()))
            if done:
                yield following.result()
                following = asyncio.ensure_future(anext(changes))
            if clock() >= beat:
                beat = clock() + period
                yield None
    finally:
        following.cancel()
