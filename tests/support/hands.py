"""Hands and eyes for a station's screens without a browser: what a page's script does, by HTTP."""

import asyncio
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress

import httpx2

_STATE = re.compile(r'<main id="main" class="\w+ (?:is-)?([a-z_]+)')
_TOKEN = re.compile(r'<meta name="token" content="([^"]+)"')
_NONE = "(no page)"


class Hands:
    """``hands.url`` may change: a daemon that was killed comes back on another port."""

    def __init__(self, url: str) -> None:
        self.url = url

    @staticmethod
    def client() -> httpx2.AsyncClient:
        """Without TLS: to set it up takes 100 ms, in which the simulators beside us stand still."""
        return httpx2.AsyncClient(verify=False)  # the pages are plain HTTP

    async def page(self, screen: str) -> str:
        async with self.client() as client:
            return (await client.get(f"{self.url}/{screen}")).text

    async def state(self, screen: str) -> str:
        """The state that the page shows, such as ``idle``."""
        try:
            found = _STATE.search(await self.page(screen))
        except httpx2.TransportError:
            return _NONE
        return found.group(1) if found else _NONE

    async def sees(self, screen: str, states: str | Iterable[str], seconds: float = 20) -> str:
        """Wait until the page shows one of these states."""
        wanted = {states} if isinstance(states, str) else set(states)
        last = ""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    last = await self.state(screen)
                    if last in wanted:
                        return last
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{screen} shows {last}, not {wanted}") from None

    async def tap(self, screen: str, do: str, what: str = "") -> None:
        token = _TOKEN.search(await self.page(screen))
        assert token is not None
        async with self.client() as client:
            answer = await client.post(
                f"{self.url}/{screen}/tap",
                json={"do": do, "what": what, "id": uuid.uuid4().hex},
                headers={"x-token": token.group(1), "origin": self.url},
            )
        assert answer.status_code == 204, answer.text

    async def insist(self, screen: str, do: str, what: str, state: str) -> None:
        """Tap, and again while nothing comes of it, as people do.

        On a busy machine the scale beside us may answer too late, and is rightly not believed.
        """
        for _ in range(10):
            await self.tap(screen, do, what)
            with suppress(AssertionError):
                await self.sees(screen, state, seconds=2)
                return
        await self.sees(screen, state)

    async def status(self) -> dict[str, object]:
        async with self.client() as client:
            return dict((await client.get(f"{self.url}/status.json")).json())
