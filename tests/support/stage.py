"""A station with its pages on a loop of its own thread, and a browser's page that is watched."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Error, Page
from support.screens import Bench, bench, fill, running

from kiosk.app import build
from kiosk.server import serve

T = TypeVar("T")
LEAST = 64
"""Pixels of the smallest target's side."""

FAULTS = (
    (Path(__file__).parents[1] / "browser" / "faults.js")
    .read_text(encoding="utf-8")
    .partition("\n")[2]
)


class Stage:
    """The station under test, and how a test moves it from its own thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self.bench: Bench
        self.url = ""

    def __enter__(self) -> "Stage":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server did not stop"
        self._loop.close()

    async def _run(self) -> None:
        async with bench(self._folder) as self.bench:
            await fill(self.bench)
            made = self.bench
            made.scale.put(0)
            self.entrance = made.entrance()
            self.weighing = made.weighing()
            self.booth = made.booth()
            # The mirror stands long enough to be looked at, also on a busy machine.
            self.booth.framing_s, self.booth.second_s = 3.0, 0.2
            screens = (self.entrance, self.weighing, self.booth)
            self.screens: dict[str, Any] = {screen.name: screen for screen in screens}
            app = build(made.station, self.entrance, self.weighing, self.booth)
            async with running(self.entrance, self.weighing, self.booth, made.camera):
                self._server = asyncio.create_task(serve(app, port=0, listening=self._listening))
                await self._over.wait()
                self._server.cancel()
                await asyncio.gather(self._server, return_exceptions=True)

    def _listening(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._ready.set()

    def do(self, act: Callable[..., T], *args: Any) -> T:
        """Call something on the station's thread."""

        async def call() -> T:
            return act(*args)

        return self.wait(call())

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def hang_up(self) -> None:
        """The daemon ends, and with it every connection."""
        self.do(self._server.cancel)

    def freeze(self, seconds: float) -> None:
        """The daemon stops answering, its sockets stay open: as under SIGSTOP."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)


class Watched:
    """A page of which everything that goes wrong is remembered."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.requests: list[str] = []
        self.bytes = 0
        self.errors: list[str] = []
        self._url = url
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def open(self, name: str) -> None:
        self.page.goto(f"{self._url}/{name}", wait_until="commit")
        self.page.wait_for_selector("main")

    def sound(self) -> None:
        assert self.errors == []
        assert [url for url in self.requests if not url.startswith(self._url)] == []

    def faults(self) -> list[str]:
        """What is cut, outside the window, too small to touch, or one over another."""
        found: list[str] = self.page.evaluate(FAULTS, LEAST)
        return sorted(set(found))

    def until(self, expression: str, within: float = 8) -> None:
        """Wait for a JavaScript expression: Playwright's own wait is what our CSP forbids."""
        over = time.monotonic() + within
        while not self._holds(expression):
            assert time.monotonic() < over, expression
            time.sleep(0.02)

    def _holds(self, expression: str) -> bool:
        try:
            return bool(self.page.evaluate(expression))
        except Error as error:
            if "navigation" not in str(error):  # a page that reloads is asked again
                raise
            return False
