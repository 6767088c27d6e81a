"""Whoever looks at a station from outside: a browser's page, an event stream, an MQTT client.

The one rule: looking disturbs little. A page notes what it shows and when by itself and is asked
only at the end; every time is told on this machine's monotonic clock, in seconds.
"""

import asyncio
import json
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import httpx2
from playwright.async_api import Browser, Page, async_playwright

from mqtt.link import Address, Link, Session

LIMIT_S = 10.0
"""What is not seen by then is never seen."""
HANDSHAKES = 40
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_TOKEN = re.compile(r'<meta name="token" content="([^"]+)"')
_PARTS = re.compile(r'(?:href|src)="(/static/[^"]+)"')

_NOTE = """
(selector) => {
  window.noted = [];
  let last;
  const look = () => {
    const text = document.querySelector(selector)?.textContent.trim() ?? "";
    if (text === last) return;
    last = text;
    const note = [text, performance.now(), null];
    window.noted.push(note);
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => { note[2] = performance.now(); };
      after.port2.postMessage(0);
    });
  };
  new MutationObserver(look).observe(document.getElementById("screen"),
    { subtree: true, childList: true, characterData: true });
}
"""


class NotSeen(Exception):
    """Something that was done never showed: a figure without it would flatter."""


class Noted:
    """What was seen, in order: (text, when, when painted)."""

    def __init__(self, notes: Sequence[tuple[str, float, float]]) -> None:
        self._notes = notes

    def delays(self, done: Sequence[tuple[str, float]], *, painted: bool = False) -> list[float]:
        """For each (text, when it was done): the seconds until that, or what came after, showed.

        Raises `NotSeen` when the last of them never did.
        """
        delays = []
        showed: float | None = None
        for text, began in reversed(done):
            noted = (note for note in self._notes if note[1] >= began and text in note[0])
            if note := next(noted, None):
                showed = note[2 if painted else 1]
            if showed is None:
                raise NotSeen(text)
            delays.append(showed - began)
        return delays


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        await browser.close()


class Watched:
    """A page in a real browser, which notes each text that the element at `selector` shows."""

    def __init__(self, page: Page) -> None:
        self._page = page

    @classmethod
    async def open(cls, browser: Browser, url: str, selector: str) -> Self:
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(url, wait_until="commit")
        await page.wait_for_selector("main")
        await page.evaluate(_NOTE, selector)
        return cls(page)

    async def noted(self) -> Noted:
        offset = await self._offset()
        notes = await self._page.evaluate("window.noted")
        return Noted(
            [
                (text, shown / 1000 + offset, (painted or shown) / 1000 + offset)
                for text, shown, painted in notes
            ]
        )

    async def _offset(self) -> float:
        """From the page's clock to ours, by the quickest of many questions."""
        best = (float("inf"), 0.0)
        for _ in range(HANDSHAKES):
            before = time.monotonic()
            theirs = await self._page.evaluate("performance.now()")
            after = time.monotonic()
            best = min(best, (after - before, (before + after) / 2 - theirs / 1000))
        return best[1]


class Stream:
    """A page without a browser: everything that one fetches, then its event stream."""

    def __init__(self) -> None:
        self._notes: list[tuple[str, float, float]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """`url` is the page's."""
        async with httpx2.AsyncClient(verify=False) as client:
            page = (await client.get(url)).text
            for part in _PARTS.findall(page):
                await client.get(httpx2.URL(url).join(part))
        stream = cls()
        where = httpx2.URL(url)
        reader, writer = await asyncio.open_connection(where.host, where.port, limit=1 << 20)
        host = f"{where.host}:{where.port}"
        writer.write(f"GET {where.path}/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        reading = asyncio.create_task(stream._read(reader))
        try:
            yield stream
        finally:
            reading.cancel()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 20):
            now = time.monotonic()
            self._notes.append((data.decode(errors="replace"), now, now))

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not any(text in said for said, *_ in self._notes):
                await asyncio.sleep(0.01)

    def noted(self) -> Noted:
        return Noted(self._notes)


class Ears:
    """An MQTT client that keeps what it hears, each message as its JSON."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, dict[str, object]]] = []
        self._up = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *filters: str) -> AsyncIterator[Self]:
        ears = cls()
        link = Link([Address.parse(url)], client_id=f"bench-{uuid.uuid4().hex[:8]}")

        async def listen(session: Session) -> None:
            await session.subscribe(*filters)
            ears._up.set()
            async for message in session.messages():
                ears.heard.append((time.monotonic(), message.topic, json.loads(message.body)))
                message.done()

        listening = asyncio.create_task(link.run(listen))
        try:
            async with asyncio.timeout(LIMIT_S):
                await ears._up.wait()
            yield ears
        finally:
            listening.cancel()
            await asyncio.wait({listening})


async def tap(url: str, do: str, what: str = "") -> None:
    """What a finger does on the page at `url`."""
    async with httpx2.AsyncClient(verify=False) as client:
        token = _TOKEN.search((await client.get(url)).text)
        assert token is not None
        where = httpx2.URL(url)
        answer = await client.post(
            f"{url}/tap",
            json={"do": do, "what": what, "id": uuid.uuid4().hex},
            headers={"x-token": token.group(1), "origin": f"http://{where.host}:{where.port}"},
        )
        answer.raise_for_status()
