"""What is asked of stations, how often, and which answers count."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.bridging import during
from support.echo import until
from support.fault_broker import FaultBroker

from bridge import replay
from bridge.ledger import Gap, Station, Told
from bridge.replay import Replays, all_epochs, read_answer, replayed, state_of
from mqtt.link import Session
from mqtt.messages import EpochKept

HERE = Station("demo", "entree")
ONE, TWO = Gap(HERE, "e1", 5), Gap(HERE, "e2", 1)


@asynccontextmanager
async def asking(session: Session, every_s: float) -> AsyncIterator[Replays]:
    replays = Replays("root", "client", every_s=every_s)
    async with during(replays.run(session)):
        yield replays


@pytest.fixture
async def replays(session: Session) -> AsyncIterator[Replays]:
    async with asking(session, 0.03) as replays:
        yield replays


def asked(listener: FaultBroker) -> list[tuple[str, dict[str, Any]]]:
    return [(topic, json.loads(body)["args"]) for topic, body in listener.messages]


def answer(**fields: Any) -> Any:
    return read_answer(json.dumps(fields).encode())


async def test_gaps_of_several_epochs_are_asked_for(
    replays: Replays, listener: FaultBroker, session: Session
) -> None:
    replays.note((HERE, "e1"), ONE)
    replays.note((HERE, "e2"), TWO)
    await until(lambda: len(asked(listener)) >= 4)
    topic = "root/demo/entree/do/outbox/replay"
    assert asked(listener)[:2] == [
        (topic, {"epoch": "e1", "from": 5}),
        (topic, {"epoch": "e2", "from": 1}),
    ]
    replays.note((HERE, "e1"), None)
    await session.subscribe("a round trip")
    already = len(asked(listener))
    await until(lambda: len(asked(listener)) > already)
    assert {args["epoch"] for _, args in asked(listener)[already:]} == {"e2"}


async def test_a_gap_that_closes_at_once_is_not_asked_for(
    listener: FaultBroker, session: Session
) -> None:
    """A station sends again by itself what was lost on the way."""
    assert (replay.EVERY_S, replay.RARELY_S, replay.EXPIRY_S) == (3, 60, 30)
    async with asking(session, 0.3) as replays:
        replays.note((HERE, "e1"), ONE)
        replays.note((HERE, "e1"), None)
        replays.note((HERE, "e2"), TWO)
        await until(lambda: asked(listener))
        assert [args["epoch"] for _, args in asked(listener)] == ["e2"]


async def test_a_station_whose_facts_come_is_not_asked_for_the_epochs_behind_them() -> None:
    """A station that was long away keeps many epochs, and each question makes it begin anew."""
    replays, other = Replays("root", "client", every_s=30), Gap(Station("demo", "balance"), "e", 1)
    behind = [Gap(HERE, f"e{number}", 1) for number in range(50)]
    for gap in (*behind, other):
        replays.note((gap.station, gap.epoch), gap)
    replays.note((HERE, "e0"), None)
    now = asyncio.get_running_loop().time()
    assert replays.to_ask(now + 1) == []
    replays.note((HERE, "e1"), None)
    assert replays.to_ask(now + 30) == [other], "which is silent"
    assert replays.to_ask(now + 91) == [behind[2], other], "it has stopped in the middle"


async def test_of_many_gaps_a_station_is_asked_for_one_at_a_time() -> None:
    replays = Replays("root", "client", every_s=3)
    gaps = [Gap(HERE, f"e{number}", 1) for number in range(3)]
    for gap in gaps:
        replays.note((HERE, gap.epoch), gap)
    now = asyncio.get_running_loop().time() + 4
    assert replays.to_ask(now - 4) == []
    assert [replays.to_ask(now + second) for second in range(7)] == [
        [gaps[0]], [], [], [gaps[1]], [], [], [gaps[2]]
    ]  # fmt: skip


async def test_a_busy_door_puts_an_old_gap_off_for_a_minute_at_most() -> None:
    replays = Replays("root", "client", every_s=1000)
    replays.note((HERE, "old"), ONE)
    replays.note((HERE, "new"), None)
    replays._open[HERE, "old"].due = 0.0
    now = asyncio.get_running_loop().time()
    assert replays.to_ask(now + replay.RARELY_S - 1) == []
    assert replays.to_ask(now + replay.RARELY_S + 1) == [ONE]


async def test_what_was_asked_is_open_until_it_is_answered(
    replays: Replays, listener: FaultBroker
) -> None:
    replays.note((HERE, "e1"), ONE)
    assert replays.unanswered() == set()
    await until(lambda: asked(listener))
    assert replays.unanswered() == {(HERE, "e1")}
    replays.answered((HERE, "e1"))
    assert replays.unanswered() == set()
    replays.answered((HERE, "never asked"))


async def test_what_was_asked_is_open_no_longer_than_the_question_lives(
    replays: Replays, listener: FaultBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After that the station never got it, and an answer cannot come any more."""
    monkeypatch.setattr("bridge.replay.EXPIRY_S", 0)
    replays.note((HERE, "e1"), ONE)
    await until(lambda: asked(listener))
    assert replays.unanswered() == set()


def test_an_answer_says_what_is_there_and_what_was_done() -> None:
    """Also one that an earlier life of the bridge asked for."""
    result = {"epoch": "e1", "from": 7, "done": 9, "parked": [8]}
    kept = EpochKept(epoch="e1", first=7, last=0, done=9, parked=(8,))
    assert replayed(HERE, answer(ok=True, result=result)) == Told(HERE, (kept,), replay=True)
    for fields in (
        {"ok": False, "result": result},
        {"ok": True, "result": {**result, "from": None}},
        {"ok": True, "result": {"epoch": "e1"}},
        {"ok": True},
    ):
        assert replayed(HERE, answer(**fields)) is None


def test_what_is_no_answer_and_no_state_is_nothing() -> None:
    for body in (b"", b"[]", b"\xff", b"{}", b'{"ok": 7e999}'):
        assert read_answer(body) is None
        assert state_of(HERE, body) is None
    large = {"ok": True, "online": True, "birth": 1, "key": "x" * (1 << 20)}
    assert read_answer(json.dumps(large).encode()) is None
    assert state_of(HERE, json.dumps(large).encode()) is None


@pytest.mark.parametrize("online", [True, False])
def test_a_birth_and_a_last_will_list_epochs(online: bool) -> None:
    kept = EpochKept(epoch="e1", first=1, last=2)
    body = {"online": online, "birth": 1, "epochs": [kept.model_dump()]}
    assert state_of(HERE, json.dumps(body).encode()) == Told(HERE, (kept,))
    told = all_epochs(HERE, answer(ok=True, result={"epochs": [kept.model_dump()]}))
    assert told == Told(HERE, (kept,))
    assert all_epochs(HERE, answer(ok=True, result={"epochs": 7})) is None
    assert all_epochs(HERE, answer(ok=False, result={"epochs": []})) is None
