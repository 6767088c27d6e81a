"""The outbox against a model that is a list: any order of facts, words of the bridge, replays and
restarts leaves both the same.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.stores import fact

from mqtt.messages import Ack, Parked
from store import Store

WAITING, STORED, DONE, PARKED = "waiting", "stored", "done", "parked"


@dataclass
class Kept:
    id: str
    body: bytes
    state: str = WAITING


class OutboxModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.facts: list[Kept] = []
        self.stored = self.done = 0
        self.open()
        self.epoch = self.store.outbox.epoch

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

        for envelope in self.run(put_all()):
            assert envelope.seq == len(self.facts) + 1
            self.facts.append(Kept(envelope.id, envelope.model_dump_json().encode()))

    @rule(data=st.data())
    def acknowledge(self, data):
        last = len(self.facts)
        stored = data.draw(st.integers(0, last))
        done = data.draw(st.integers(0, stored))
        parked = sorted(data.draw(st.sets(st.integers(1, done), max_size=3))) if done else []
        entries = tuple(Parked(seq=n, id=self.facts[n - 1].id, why="?") for n in parked)
        ack = Ack(epoch=self.epoch, stored=stored, done=done, parked=entries)
        self.run(self.store.outbox.acknowledge(ack))
        self.done = max(self.done, done)
        self.stored = max(self.stored, stored, self.done)
        for seq, kept in enumerate(self.facts, start=1):
            if seq in parked and kept.state in (WAITING, STORED):
                kept.state = PARKED
            elif seq <= self.done and seq not in parked:
                kept.state = DONE
            elif seq <= self.stored and kept.state == WAITING:
                kept.state = STORED

    @rule(stored=st.integers(0, 50))
    def another_epoch(self, stored):
        self.run(self.store.outbox.acknowledge(Ack(epoch="other", stored=stored, done=stored)))

    @rule(first=st.integers(1, 30))
    def replay(self, first):
        there = self.run(self.store.outbox.replay(first))
        assert there == first
        for kept in self.facts[first - 1 :]:
            kept.state = WAITING
        self.stored, self.done = min(self.stored, first - 1), min(self.done, first - 1)

    @rule()
    def restart(self):
        self.run(self.store.close())
        self.open()

    @invariant()
    def the_same_facts_wait(self):
        expected = [
            (seq, kept.body)
            for seq, kept in enumerate(self.facts, start=1)
            if kept.state == WAITING
        ]
        rows = self.run(self.store.outbox.waiting(0, 10_000))
        assert [(row.seq, row.body) for row in rows] == expected

    @invariant()
    def the_counts_agree(self):
        status = self.store.outbox.status()
        states = [kept.state for kept in self.facts]
        counts = (status.waiting, status.stored, status.parked)
        assert counts == (states.count(WAITING), states.count(STORED), states.count(PARKED))
        settled = self.store.outbox.settled.get()
        assert (settled.stored, settled.done) == (self.stored, self.done)
        assert self.store.outbox.last.get() == len(self.facts)
        assert self.store.outbox.epoch == self.epoch


OutboxModel.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOutboxModel = OutboxModel.TestCase
