"""Devices kept running: real ptys, and devices that hang, flood, raise and return."""

import asyncio
import logging
import os
from itertools import pairwise
from pathlib import Path

import pytest
from support.echo import Echo, until
from support.kept import Kept, Probe, Scripted, reaches, up

from devices import Absent, Device, DeviceError, Lost, Refused, State
from devices.keep import BACKOFF, keep_all
from devices.ports import open_port
from devices.simulate import PtyHost


async def test_unplugged_and_plugged_again_it_comes_back(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "devices.keep")
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        probe = Probe("scale", str(host.path))
        async with Kept(probe, backoff=BACKOFF):
            for _ in range(2):
                await until(up(probe))
                assert probe.reading == "W"
                host.unplug()
                health = await reaches(probe, State.ABSENT)
                assert health.key == "device.unplugged"
                assert probe.reading is None
                before = probe.answers
                host.plug()
                await until(lambda before=before: probe.answers > before)
    lines = [record.levelname for record in caplog.records if record.levelno > logging.DEBUG]
    assert lines == ["INFO", "WARNING", "INFO", "WARNING", "INFO"]
    assert "scale: " in caplog.records[0].getMessage()


async def test_the_reading_is_forgotten_the_moment_run_ends(tmp_path):
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        probe = Probe("scale", str(host.path))
        async with Kept(probe):
            await until(up(probe))
            host.unplug()
            async for health in probe.health.changes():
                if not health.usable:
                    break
            assert probe.reading is None


async def test_no_device_delays_another(tmp_path):
    """Beside one that hangs, one that floods, one that raises and one whose thread is stuck."""

    async def hang(_device: Device) -> None:
        await asyncio.Event().wait()

    async def flood(_device: Device) -> None:
        async with open_port(str(flooding.path)) as port:
            while True:
                noise.say(b"\x00" * 4096)
                await port.read()

    noise = Echo()
    async with (
        PtyHost(tmp_path / "scale", Echo()) as host,
        PtyHost(tmp_path / "noise", noise) as flooding,
    ):
        probe = Probe("scale", str(host.path))
        async with Kept(probe):
            await until(lambda: probe.answers >= 50)
            others = [
                Scripted("hangs", hang),
                Scripted("floods", flood),
                Scripted("raises", *[ZeroDivisionError()] * 10_000),
                Scripted("loses", *[Lost("device.silent")] * 10_000),
            ]
            async with Kept(*others):
                before = probe.answers
                await until(lambda: probe.answers >= before + 100)
                assert probe.health.get().state is State.UP
                assert others[1].starts
                assert others[2].runs > 1


async def test_keep_all_outlives_every_device(tmp_path):
    good, bad = Scripted("good"), Scripted("bad", RuntimeError("bug"), SystemError("worse"))
    bad.idle = lambda: 1 / 0
    task = asyncio.create_task(keep_all([bad, good]))
    await until(up(good))
    await until(up(bad))
    names = {each.get_name() for each in asyncio.all_tasks()}
    assert {"device.good", "device.bad"} <= names
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert good.idled == 1


async def test_lost_backs_off_step_by_step_and_says_when_it_tries_again():
    steps = (0.02, 0.08, 0.16)
    device = Scripted("scale", *[Lost("device.silent", path="/dev/x")] * 5)
    seen: list[tuple[State, str | None]] = []

    async def watch() -> None:
        async for health in device.health.changes():
            seen.extend([(health.state, health.params.get("retry_in"))])

    watching = asyncio.create_task(watch())
    async with Kept(device, backoff=steps):
        await until(up(device))
    watching.cancel()
    waits = [later - sooner for sooner, later in pairwise(device.starts)]
    for wait, step in zip(waits, [0.02, 0.08, 0.16, 0.16, 0.16], strict=True):
        assert wait >= step * 0.99
    assert seen == [
        (State.STARTING, None),
        (State.FAILING, "0.02"),
        (State.FAILING, "0.08"),
        (State.FAILING, "0.16"),  # the same news again wakes nobody
        (State.UP, None),
    ]


async def test_failing_keeps_the_time_it_began():
    device = Scripted("scale", *[Lost("device.silent")] * 4)
    since = set()

    async def watch() -> None:
        async for health in device.health.changes():
            if health.state is State.FAILING:
                since.add(health.since)

    watching = asyncio.create_task(watch())
    async with Kept(device):
        await until(up(device))
    watching.cancel()
    assert len(since) == 1


async def test_the_back_off_begins_anew_after_a_steady_time():
    async def hold(device: Device) -> None:
        device.is_up()
        await asyncio.sleep(0.1)
        raise Lost("device.silent")

    async def flicker(device: Device) -> None:
        device.is_up()
        raise Lost("device.silent")

    for end, wanted in ((hold, "0.01"), (flicker, "30")):
        device = Scripted("scale", Lost("device.silent"), end)
        async with Kept(device, backoff=(0.01, 30), steady=0.05):
            await until(lambda device=device: device.idled == 2)
            health = await reaches(device, State.FAILING)
            assert health.params["retry_in"] == wanted


async def test_absent_waits_for_the_plug_without_limit_and_without_noise(caplog):
    caplog.set_level(logging.INFO, "devices.keep")
    device = Scripted("scale", *[Absent("device.unplugged")] * 3)

    waits = 0

    async def once() -> None:
        nonlocal waits
        waits += 1
        await device.there.wait()
        device.there.clear()

    device.plugged = once
    async with Kept(device, backoff=(60,)):
        for run in range(1, 4):
            await until(lambda run=run: waits == run)
            assert device.idled == run
            await asyncio.sleep(0.1)
            assert device.runs == run
            device.there.set()
            await until(lambda run=run: device.runs == run + 1)
        await until(up(device))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_device_that_seems_plugged_but_is_absent_does_not_spin():
    device = Scripted("scale", *[Absent("device.unplugged")] * 3)
    device.there.set()
    async with Kept(device, backoff=(0.02, 0.08, 0.08)):
        await until(up(device))
    assert device.starts[-1] - device.starts[0] >= 0.17


async def test_refused_waits_for_a_person():
    device = Scripted("scale", Refused("device.permission", path="/dev/x"))
    async with Kept(device):
        health = await reaches(device, State.REFUSED)
        assert (health.key, health.params) == ("device.permission", {"path": "/dev/x"})
        await asyncio.sleep(0.2)
        assert device.runs == 1
        device.retry.set()
        await until(up(device))
        assert not device.retry.is_set()


@pytest.mark.parametrize("end", [Lost("device.silent"), Absent("device.unplugged"), ValueError()])
async def test_try_again_ends_any_wait(end):
    device = Scripted("scale", end)
    async with Kept(device, backoff=(600,)):
        await until(lambda: not device.health.get().usable and device.idled)
        await asyncio.sleep(0.05)
        assert device.runs == 1
        device.retry.set()
        await until(up(device))


async def returns(_device: Device) -> None:
    return


async def cancels_itself(_device: Device) -> None:
    raise asyncio.CancelledError


OWN_CANCELLATION = BaseExceptionGroup("", [asyncio.CancelledError()])


@pytest.mark.parametrize(
    "end", [KeyError("x"), returns, cancels_itself, SystemExit(1), OWN_CANCELLATION]
)
async def test_a_bug_is_told_once_with_its_traceback_and_tried_again(end, caplog):
    device = Scripted("scale", end, end, end)
    async with Kept(device):
        health = await reaches(device, State.FAILING)
        assert health.key == "device.bug"
        await until(up(device))
    told = [record for record in caplog.records if record.exc_info]
    assert len(told) == 1
    assert told[0].levelname == "ERROR"


async def test_a_driver_that_turns_its_cancellation_into_a_failure_ends_all_the_same():
    async def stubborn(device: Device) -> None:
        device.is_up()
        try:
            await asyncio.Event().wait()
        finally:
            raise Lost("device.silent")

    device = Scripted("scale", stubborn)
    async with Kept(device):
        await until(up(device))
    assert device.runs == device.idled == 1


async def test_what_a_task_group_inside_a_driver_says_is_heard():
    async def group(*errors: DeviceError | ValueError) -> None:
        async def fail(error: Exception) -> None:
            raise error

        async with asyncio.TaskGroup() as tasks:
            for error in errors:
                tasks.create_task(fail(error))

    for errors, state, key in [
        ([Lost("device.silent")], State.FAILING, "device.silent"),
        ([Lost("device.silent"), Absent("device.unplugged")], State.ABSENT, "device.unplugged"),
        ([Lost("device.silent"), Refused("device.busy")], State.REFUSED, "device.busy"),
        ([Lost("device.silent"), ValueError()], State.FAILING, "device.bug"),
    ]:
        device = Scripted("scale", lambda _device, errors=errors: group(*errors))
        async with Kept(device, backoff=(60,)):
            assert (await reaches(device, state)).key == key


@pytest.mark.parametrize(
    "end", [KeyError("plugged"), asyncio.CancelledError(), SystemExit(1), OWN_CANCELLATION]
)
async def test_a_bug_in_plugged_is_only_a_bug(end, caplog):
    device = Scripted("scale", Absent("device.unplugged"))

    async def broken() -> None:
        raise end

    device.plugged = broken
    async with Kept(device):
        await until(up(device))
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


async def test_nothing_is_left_when_it_ends(tmp_path: Path):
    before, tasks = len(os.listdir("/proc/self/fd")), asyncio.all_tasks()  # noqa: PTH208
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        probe = Probe("scale", str(host.path))
        async with Kept(probe):
            await until(up(probe))
        assert probe.reading is None
        async with Kept(probe, backoff=(60,)):
            host.unplug()
            await reaches(probe, State.ABSENT)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert asyncio.all_tasks() == tasks
