"""What the daemon knows of the kiosk's own page, and from whom it hears it."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from support.screens import Bench

from kiosk.alive import Alive
from kiosk.app import build

HOST = "http://127.0.0.1:8080"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def client(made: Bench) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=build(made.station, made.entrance()))
    async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
        yield client


async def say(client: httpx2.AsyncClient, token: str, *, origin: str = HOST) -> int:
    answer = await client.post("/alive", content=token, headers={"Origin": origin})
    return answer.status_code


async def test_a_page_that_said_it_was_alive_is_dated(client: httpx2.AsyncClient) -> None:
    assert (await client.get(f"/alive/{TOKEN}")).json() == {"seconds": None}
    assert await say(client, TOKEN) == 204
    answer = await client.get(f"/alive/{TOKEN}")
    assert 0 <= answer.json()["seconds"] < 20
    other = await client.get(f"/alive/{TOKEN[::-1]}")
    assert other.json() == {"seconds": None}


@pytest.mark.parametrize("rubbish", ["", "x", TOKEN.upper(), TOKEN + "0", TOKEN + "\n", "é" * 32])
async def test_what_is_no_token_is_not_kept(client: httpx2.AsyncClient, rubbish: str) -> None:
    assert await say(client, rubbish) == 400


async def test_a_sign_of_life_without_end_is_not_read(client: httpx2.AsyncClient) -> None:
    assert await say(client, "0" * 5000) == 413


async def test_another_site_cannot_speak_for_the_page(client: httpx2.AsyncClient) -> None:
    assert await say(client, TOKEN, origin="http://evil.example") == 403
    assert (await client.get(f"/alive/{TOKEN}")).json() == {"seconds": None}


def test_time_counts_from_the_last_sign_on_a_clock_that_is_never_set() -> None:
    now = 100.0
    alive = Alive(clock=lambda: now)
    alive.say(TOKEN)
    now = 107.5
    assert alive.seconds_since(TOKEN) == 7.5
    alive.say(TOKEN)
    assert alive.seconds_since(TOKEN) == 0


def test_a_flood_of_tokens_is_bounded_and_a_page_that_speaks_stays() -> None:
    alive = Alive(clock=lambda: 0.0)
    silent = f"{999:032x}"
    alive.say(silent)
    for number in range(100):
        if number % 4 == 0:
            alive.say(TOKEN)
        alive.say(f"{number:032x}")
        assert alive.seconds_since(TOKEN) == 0
    assert alive.seconds_since(silent) is None
    kept = [number for number in range(100) if alive.seconds_since(f"{number:032x}") is not None]
    assert len(kept) < 10
