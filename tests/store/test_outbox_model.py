"""The outbox against a model that is a few lists: any order of facts, words of the bridge, replays
and restarts leaves both the same.
"""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.stores import ack, fact

from mqtt.messages import Ack, EpochAck, Parked
from store import Store

WAITING, STORED, DONE, PARKED = "waiting", "stored", "done", "parked"


@dataclass
class Kept:
    id: str
    body: bytes
    state: str = WAITING


@dataclass
class Epoch:
    name: str
    facts: list[Kept] = field(default_factory=list)
    stored: int = 0
    done: int = 0

    def settle(self, stored: int, done: int, parked: list[int]) -> None:
        self.done = max(self.done, done)
        self.stored = max(self.stored, stored, self.done)
        for seq, kept in enumerate(self.facts, start=1):
            if kept.state == PARKED:
                if seq <= done and seq not in parked:
                    kept.state = DONE
            elif seq in parked and kept.state != DONE:
                kept.state = PARKED
            elif seq <= self.done:
                kept.state = DONE
            elif seq <= self.stored and kept.state == WAITING:
                kept.state = STORED


class OutboxModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.epochs: list[Epoch] = []
        self.open()

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def open(self):
        self.store = self.run(Store.open(Path(self.folder.name), clock=lambda: "synced"))

    def teardown(self):
        self.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(count=st.integers(1, 5))
    def put(self, count):
        async def put_all():
            puts = (self.store.outbox.put("badge", fact(n)) for n in range(count))
            return await asyncio.gather(*puts)

        name = self.store.outbox.epoch
        if not self.epochs or self.epochs[-1].name != name:
            self.epochs.append(Epoch(name))
        for envelope in self.run(put_all()):
            facts = self.epochs[-1].facts
            assert (envelope.epoch, envelope.seq) == (name, len(facts) + 1)
            facts.append(Kept(envelope.id, envelope.model_dump_json().encode()))

    @rule(data=st.data())
    def acknowledge(self, data):
        words = []
        for epoch in data.draw(st.permutations(self.epochs)):
            if not data.draw(st.booleans()):
                continue
            stored = data.draw(st.integers(0, len(epoch.facts)))
            done = data.draw(st.integers(0, stored))
            parked = sorted(data.draw(st.sets(st.integers(1, done), max_size=3))) if done else []
            entries = tuple(Parked(seq=n, id=epoch.facts[n - 1].id, why="?") for n in parked)
            words.append(EpochAck(epoch=epoch.name, stored=stored, done=done, parked=entries))
            epoch.settle(stored, done, parked)
        self.run(self.store.outbox.acknowledge(Ack(epochs=tuple(words))))

    @rule(stored=st.integers(0, 50))
    def another_cards_epoch(self, stored):
        self.run(self.store.outbox.acknowledge(ack("other", stored=stored, done=stored)))

    @precondition(lambda self: self.epochs)
    @rule(first=st.integers(1, 30), data=st.data())
    def replay(self, first, data):
        epoch = data.draw(st.sampled_from(self.epochs))
        answer = self.run(self.store.outbox.replay(epoch.name, first))
        assert answer.first == (first if first <= len(epoch.facts) else max(first, answer.last + 1))
        parked = [n for n, kept in enumerate(epoch.facts, start=1) if kept.state == PARKED]
        assert (answer.done, list(answer.parked)) == (epoch.done, parked)
        epoch.stored = min(epoch.stored, first - 1)
        for kept in epoch.facts[first - 1 :]:
            kept.state = WAITING if kept.state == STORED else kept.state

    @rule()
    def restart(self):
        self.run(self.store.close())
        self.open()

    @invariant()
    def the_oldest_epoch_that_the_bridge_lacks_is_sent(self):
        lacking = [epoch for epoch in self.epochs if epoch.stored < len(epoch.facts)]
        expected = [
            (lacking[0].name, seq, kept.body)
            for seq, kept in enumerate(lacking[0].facts if lacking else (), start=1)
            if seq > lacking[0].stored
        ]
        rows = self.run(self.store.outbox.waiting(0, 10_000))
        assert [(row.epoch, row.seq, row.body) for row in rows] == expected

    @invariant()
    def the_counts_agree(self):
        status = self.store.outbox.status()
        states = [kept.state for epoch in self.epochs for kept in epoch.facts]
        counts = (status.waiting, status.stored, status.parked)
        assert counts == (states.count(WAITING), states.count(STORED), states.count(PARKED))
        there = [
            (epoch.name, epoch.last, epoch.stored, epoch.done)
            for epoch in self.store.outbox.epochs.get().values()
        ]
        assert there == [(e.name, len(e.facts), e.stored, e.done) for e in self.epochs]


OutboxModel.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestOutboxModel = OutboxModel.TestCase
