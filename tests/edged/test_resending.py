"""What is sent again and when, to a broker that nobody listens to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from support.echo import until
from support.fault_broker import FaultBroker
from support.linked import Held, held
from support.stores import ack, fact

from edged.delivery import Delivery
from mqtt.link import Address, Reason
from mqtt.topics import StationTopics
from store import Store


class Pauses:
    """How many seconds the delivery would wait each time. The first `ends` pauses are over at once,
    the others never end by themselves.
    """

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.ends = 0
        self._timeout_at = asyncio.timeout_at

    def pause(self, when: float | None) -> asyncio.Timeout:
        """Stands for `asyncio.timeout_at`."""
        if when is None:
            return self._timeout_at(None)
        self.lengths.append(round(when - asyncio.get_running_loop().time()))
        return self._timeout_at(0 if len(self.lengths) <= self.ends else None)

    async def until(self, number: int) -> None:
        await until(lambda: len(self.lengths) >= number)


@dataclass(frozen=True, slots=True)
class Way:
    """From an outbox to the broker; a connection that ended comes back at once."""

    store: Store
    link: Held
    broker: FaultBroker
    delivery: Delivery
    pauses: Pauses

    async def put(self, count: int) -> None:
        await asyncio.gather(*(self.store.outbox.put("badge", fact(n)) for n in range(count)))

    @property
    def seqs(self) -> list[int]:
        """The numbers of the facts that were published."""
        said = self.broker.messages
        return [json.loads(body)["seq"] for topic, body in said if "/fact/" in topic]

    @property
    def blobs(self) -> int:
        return sum("/blob/" in topic for topic, _ in self.broker.messages)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[asyncio.Task[None]]:
        """On the next connection."""
        task = asyncio.create_task(self.delivery.run(await self.link.session()))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
async def way(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setattr("mqtt.link.LONGEST_WAIT", 0.05)
    pauses = Pauses()
    monkeypatch.setattr("edged.delivery.asyncio.timeout_at", pauses.pause)
    delivery = Delivery(store.outbox, StationTopics("edged/v1", "demo", "borne-1"))
    async with FaultBroker() as broker, held(Address.parse(broker.url)) as link:
        yield Way(store, link, broker, delivery, pauses)


async def test_the_pauses_between_resends_double_up_to_a_minute_until_there_is_progress(
    way: Way,
) -> None:
    await way.put(2)
    way.pauses.ends = 7
    async with way.sending():
        await way.pauses.until(8)
        await way.delivery.acknowledge(ack(way.store.outbox.epoch, stored=1))
        await way.pauses.until(9)
    assert way.pauses.lengths == [2, 4, 8, 16, 32, 60, 60, 60, 2]
    assert way.seqs == [1, 2] * 8


async def test_a_new_fact_does_not_wait_for_an_unanswered_one(way: Way) -> None:
    await way.put(1)
    async with way.sending():
        await way.pauses.until(1)
        await way.put(1)
        await until(lambda: way.seqs == [1, 2])


async def test_a_window_is_two_hundred_facts_that_nobody_has_answered(way: Way) -> None:
    await way.put(450)
    async with way.sending():
        await way.pauses.until(1)
        assert way.seqs == list(range(1, 201))
        await way.delivery.acknowledge(ack(way.store.outbox.epoch, stored=30))
        await way.pauses.until(2)
        assert way.seqs == list(range(1, 231))


@pytest.mark.parametrize(
    ("other", "key"), [(Reason.OK, "link.nobody"), (Reason.UNSPECIFIED, "link.facts_refused")]
)
async def test_why_facts_do_not_get_through_is_told_until_one_does(
    way: Way, other: Reason, key: str
) -> None:
    await way.put(2)
    broker = way.broker
    broker.puback = None
    async with way.sending():
        await until(lambda: len(broker.unanswered) == 2)
        second = broker.unanswered.pop()
        broker.answer(Reason.NOBODY)
        broker.unanswered.append(second)
        broker.answer(other)
        await way.pauses.until(1)
        assert way.delivery.trouble.get() == key
        assert not way.delivery.idle.get()  # all is sent, and nothing stored
        broker.puback = Reason.OK
        await way.put(1)
        await way.pauses.until(2)
        assert way.delivery.trouble.get() == ""


async def test_a_photo_that_got_through_once_has_all_its_tries_again(way: Way) -> None:
    await way.store.outbox.put("badge", fact(1), attachment=b"portrait")
    for ends in [True] * 4 + [False] + [True] * 5 + [False]:
        way.broker.puback = None if ends else Reason.OK
        blobs, pauses = way.blobs, len(way.pauses.lengths)
        async with way.sending() as task:
            if ends:
                await until(lambda blobs=blobs: way.blobs > blobs)
                way.broker.hang_up()
                await asyncio.wait({task})
            else:
                await way.pauses.until(pauses + 1)
        way.broker.hang_up()
    assert way.blobs == 4 + 1 + 5
