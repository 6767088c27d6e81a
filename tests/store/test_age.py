"""Seven days are seven days of the station running, whatever its clock is set to."""

import time

import pytest
from support.stores import ack, opened, parked, put

from mqtt.messages import Ack
from store import age, settling

DAY = 24 * 3600


class Machine:
    """What a machine's boot and its uptime are, and what its clock says."""

    def __init__(self, monkeypatch) -> None:
        self.boot, self.up = "boot-1", 1000
        monkeypatch.setattr(age, "boot_id", lambda: self.boot)
        monkeypatch.setattr(age, "uptime_ms", lambda: self.up * 1000)

    def runs(self, seconds: int) -> None:
        self.up += seconds

    def boots(self) -> None:
        self.boot, self.up = f"{self.boot}'", 30


@pytest.fixture
def clean_up(clock):
    """Let the outbox forget what it may; how many facts are left."""

    async def clean_up(store) -> int:
        clock.now += 3600  # it looks once an hour
        await store.outbox.acknowledge(Ack())
        return len([fact async for fact in store.outbox.export()])

    return clean_up


async def done_fact(store) -> None:
    (envelope,) = await put(store.outbox, 1)
    await store.outbox.acknowledge(ack(envelope.epoch, stored=1, done=1))


async def test_a_clock_that_is_set_forgets_nothing(tmp_path, monkeypatch, clean_up):
    async with opened(tmp_path) as store:
        await done_fact(store)
        began = time.time()
        for days in (40, -40, 4000):
            monkeypatch.setattr(time, "time", lambda days=days: began + days * DAY)
            assert await clean_up(store) == 1


async def test_a_done_fact_goes_after_seven_days_of_running_and_not_before(
    tmp_path, monkeypatch, clean_up
):
    machine = Machine(monkeypatch)
    assert settling.KEEP_S == 7 * DAY
    async with opened(tmp_path) as store:
        machine.runs(30 * DAY)
        (made,) = await put(store.outbox, 1)
        machine.runs(30 * DAY)  # waiting does not count
        await store.outbox.acknowledge(ack(made.epoch, stored=1, done=1))
        machine.runs(7 * DAY)
        assert await clean_up(store) == 1
        machine.runs(1)
        assert await clean_up(store) == 0


async def test_the_age_goes_on_after_a_restart_and_after_a_boot(tmp_path, monkeypatch, clean_up):
    machine = Machine(monkeypatch)
    async with opened(tmp_path) as store:
        await done_fact(store)
        machine.runs(5 * DAY)
    machine.runs(1 * DAY)  # the daemon is down, the machine is not
    async with opened(tmp_path) as store:
        assert await clean_up(store) == 1  # also notes the age
    machine.boots()  # nobody knows for how long it was off
    async with opened(tmp_path) as store:
        machine.runs(DAY - 3600)
        assert await clean_up(store) == 1
        machine.runs(2 * 3600)
        assert await clean_up(store) == 0


async def test_what_another_boot_ran_before_the_station_started_does_not_count(
    tmp_path, monkeypatch, clean_up
):
    machine = Machine(monkeypatch)
    async with opened(tmp_path) as store:
        await done_fact(store)  # also notes the age
    machine.boots()
    machine.runs(8 * DAY)
    async with opened(tmp_path) as store:
        assert await clean_up(store) == 1


async def test_what_is_being_sent_again_is_not_forgotten_meanwhile(tmp_path, monkeypatch, clean_up):
    machine = Machine(monkeypatch)
    async with opened(tmp_path) as store:
        outbox = store.outbox
        await put(outbox, 3)
        await outbox.acknowledge(ack(outbox.epoch, stored=3, done=3))
        machine.runs(8 * DAY)
        await outbox.replay(outbox.epoch, 2)
        assert await clean_up(store) == 2
        assert [row.seq for row in await outbox.waiting(0, 9)] == [2, 3]


async def test_what_a_person_retried_is_kept_for_seven_days_from_then_on(
    tmp_path, monkeypatch, clean_up
):
    machine = Machine(monkeypatch)
    async with opened(tmp_path) as store:
        (made,) = await put(store.outbox, 1)
        await store.outbox.acknowledge(ack(made.epoch, stored=1, done=1, parked=parked(made)))
        machine.runs(30 * DAY)
        await store.outbox.acknowledge(ack(made.epoch, stored=1, done=1))
        machine.runs(7 * DAY)
        assert await clean_up(store) == 1
        machine.runs(1)
        assert await clean_up(store) == 0
