"""How long the facts of a former run wait for their station's word."""

import asyncio
import json
from typing import Any

import pytest
from support.echo import until

from bridge import leftovers
from bridge.ledger import Station
from bridge.leftovers import Leftovers

ONE, TWO = Station("demo", "one"), Station("demo", "two")


class Sent:
    """A session that only remembers what was published."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def publish(self, message: Any) -> None:
        self.asked.append((message.topic, json.loads(message.body)["id"]))


async def test_who_answers_is_released_and_the_others_after_a_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (leftovers.GRACE_S, leftovers.NO_LINK_S) == (10, 30)
    monkeypatch.setattr("bridge.leftovers.GRACE_S", 0.3)
    released: list[Station] = []
    waiting = Leftovers("root", "client", [ONE, TWO], released.append)
    session = Sent()
    task = asyncio.create_task(waiting.ask(session))  # type: ignore[arg-type]
    await until(lambda: len(session.asked) == 2)
    assert {topic for topic, _ in session.asked} == {
        "root/demo/one/do/outbox/epochs",
        "root/demo/two/do/outbox/epochs",
    }
    waiting.answered(TWO)
    waiting.answered(TWO)
    waiting.answered(Station("demo", "three"))
    assert released == [TWO]
    await task
    assert released == [TWO, ONE]


async def test_without_a_connection_nobody_is_waited_for_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.leftovers.NO_LINK_S", 0)
    released: list[Station] = []
    await Leftovers("root", "client", [ONE], released.append).without_link()
    assert released == [ONE]


@pytest.mark.parametrize("late", [False, True])
async def test_a_connection_that_ends_before_the_answer_leaves_the_rest_of_the_time(
    monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monkeypatch.setattr("bridge.leftovers.NO_LINK_S", 0)
    released: list[Station] = []
    waiting, session = Leftovers("root", "client", [ONE], released.append), Sent()
    task = asyncio.create_task(waiting.ask(session))  # type: ignore[arg-type]
    await until(lambda: session.asked)
    if late:
        await waiting.without_link()
        assert released == []
    task.cancel()
    await asyncio.wait({task})
    assert released == ([ONE] if late else [])
    if not late:
        await waiting.without_link()
        assert released == [ONE]
