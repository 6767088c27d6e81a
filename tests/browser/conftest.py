"""A real Chromium before a real server; the screens' station runs on a loop of its own thread."""

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from support.screens import Bench, bench, fill, running

from kiosk.app import build
from kiosk.server import serve

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
T = TypeVar("T")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


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
            self.booth.framing_s, self.booth.second_s = 0.2, 0.2
            app = build(made.station, self.entrance, self.weighing, self.booth)
            async with running(self.entrance, self.weighing, self.booth, made.camera):
                server = asyncio.create_task(serve(app, port=0, listening=self._listening))
                await self._over.wait()
                server.cancel()
                await asyncio.gather(server, return_exceptions=True)

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

    def freeze(self, seconds: float) -> None:
        """The daemon stops answering, its sockets stay open: as under SIGSTOP."""
        import time

        self._loop.call_soon_threadsafe(time.sleep, seconds)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


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


@pytest.fixture
def watch(browser: Browser, stage: Stage) -> Iterator[Callable[..., Watched]]:
    contexts = []

    def open_page(name: str, width: int = 1280, height: int = 800) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        watched = Watched(context.new_page(), stage.url)
        watched.page.set_default_timeout(8000)
        watched.open(name)
        return watched

    yield open_page
    for context in contexts:
        context.close()


FAULTS = (Path(__file__).parent / "faults.js").read_text(encoding="utf-8").partition("\n")[2]


@pytest.fixture
def faults() -> Callable[[Watched], list[str]]:
    """What a person would call ugly: cut, outside, too small to touch, one over another."""

    def look(watched: Watched) -> list[str]:
        found = watched.page.evaluate(FAULTS, 64)
        return [re.sub(r"\s+", " ", fault) for fault in found]

    return look
