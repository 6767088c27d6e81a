"""How long the facts of a former run wait for their station's word."""

import pytest
from support.bridging import during
from support.echo import until
from support.fault_broker import FaultBroker

from bridge import leftovers
from bridge.ledger import Station
from bridge.leftovers import Leftovers
from mqtt.link import Session

ONE, TWO = Station("demo", "one"), Station("demo", "two")


def asked(listener: FaultBroker) -> list[str]:
    return sorted(topic for topic, _ in listener.messages)


async def test_who_answers_is_released_and_the_others_after_a_grace(
    listener: FaultBroker, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (leftovers.GRACE_S, leftovers.NO_LINK_S) == (10, 30)
    monkeypatch.setattr("bridge.leftovers.GRACE_S", 3600)
    released: list[Station] = []
    waiting = Leftovers("root", "client", [ONE, TWO], released.append)
    async with during(waiting.ask(session)):
        await until(lambda: len(asked(listener)) == 2)
        assert asked(listener) == [
            "root/demo/one/do/outbox/epochs",
            "root/demo/two/do/outbox/epochs",
        ]
        waiting.answered(TWO)
        waiting.answered(TWO)
        waiting.answered(Station("demo", "three"))
    assert released == [TWO]
    # On the next connection only the other one is asked, and here the grace is over at once.
    monkeypatch.setattr("bridge.leftovers.GRACE_S", 0)
    await waiting.ask(session)
    assert asked(listener).count("root/demo/two/do/outbox/epochs") == 1
    assert asked(listener).count("root/demo/one/do/outbox/epochs") == 2
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
    listener: FaultBroker, session: Session, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monkeypatch.setattr("bridge.leftovers.GRACE_S", 3600)
    monkeypatch.setattr("bridge.leftovers.NO_LINK_S", 0)
    released: list[Station] = []
    waiting = Leftovers("root", "client", [ONE], released.append)
    async with during(waiting.ask(session)):
        await until(lambda: asked(listener))
        if late:
            await waiting.without_link()
            assert released == []
    assert released == ([ONE] if late else [])
    if not late:
        await waiting.without_link()
        assert released == [ONE]
