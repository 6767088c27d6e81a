"""When a device is tried again: a new node, a host that cannot be reached, another reason."""

import asyncio
import logging
from itertools import pairwise
from pathlib import Path

import pytest
from support.echo import Echo, until
from support.kept import Kept, Probe, Scripted, reaches, up

import devices.keep
from devices import Absent, Device, DeviceError, Lost, Refused, State
from devices.errors import NonsenseError, Unreachable
from devices.keep import UNREACHABLE
from devices.ports import node, plugged
from devices.simulate import PtyHost
from scale.toledo import Toledo8217, ToledoSettings


async def test_a_replugged_device_is_tried_at_once_however_often_it_went(tmp_path: Path) -> None:
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        probe = Probe("scale", str(host.path))
        async with Kept(probe, backoff=(600,)):
            for _ in range(6):
                await until(up(probe))
                before = probe.answers
                host.unplug()
                host.plug()
                await until(lambda before=before: probe.answers > before)


class Counted(Toledo8217):
    runs = 0

    async def run(self) -> None:
        self.runs += 1
        await super().run()


async def test_one_that_was_silent_is_tried_at_once_when_it_is_plugged_in_anew(
    tmp_path: Path,
) -> None:
    silent = Echo()
    silent.silent = True
    async with PtyHost(tmp_path / "scale", silent) as host:
        scale = Counted("scale", ToledoSettings(port=str(host.path)))
        async with Kept(scale, backoff=(600,)):
            for run in range(1, 4):
                await until(lambda run=run: scale.runs == run)
                await reaches(scale, State.FAILING)
                host.unplug()
                host.plug()


async def test_a_node_that_stays_and_is_bad_waits_as_long_as_ever(tmp_path: Path) -> None:
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        device = Scripted("scale", *[Lost("device.silent")] * 3)
        device.node = lambda: node(str(host.path))
        async with Kept(device, backoff=(600,)):
            await reaches(device, State.FAILING)
            await asyncio.sleep(1)
            assert device.runs == 1


async def test_who_was_refused_is_tried_when_another_device_is_plugged_in(tmp_path: Path) -> None:
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        device = Scripted("scale", Refused("scale.wrong_unit", unit="kg"))
        device.node = lambda: node(str(host.path))
        async with Kept(device):
            await reaches(device, State.REFUSED)
            host.unplug()
            await asyncio.sleep(0.5)
            assert device.runs == 1
            host.plug()
            await until(up(device))


async def test_a_node_is_another_one_after_a_replug_or_with_other_rights(tmp_path: Path) -> None:
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        path = str(host.path)
        first = node(path)
        assert first == node(path)
        await asyncio.sleep(0.05)  # the kernel's clock for files ticks some hundred times a second
        Path(path).chmod(0o600)
        second = node(path)
        host.unplug()
        assert node(path) is None
        await asyncio.sleep(0.05)
        host.plug()
        assert len({first, second, node(path)}) == 3
    assert node("socket://127.0.0.1:9100") is None
    assert node("sim://echo") is None


async def test_a_host_out_of_reach_is_tried_with_waits_that_double(monkeypatch) -> None:
    waits = tuple(seconds / 25 for seconds in UNREACHABLE)
    monkeypatch.setattr(devices.keep, "UNREACHABLE", waits)
    device = Scripted("printer", *[Unreachable("device.unplugged")] * 6)
    async with Kept(device, backoff=(600,)):
        health = await reaches(device, State.ABSENT)
        assert health.key == "device.unplugged"
        await until(up(device))
    measured = [later - sooner for sooner, later in pairwise(device.starts)]
    for wait, step in zip(measured, waits, strict=False):
        assert wait >= step * 0.99


async def test_once_it_was_reached_the_waits_begin_anew(monkeypatch) -> None:
    monkeypatch.setattr(devices.keep, "UNREACHABLE", (0.01, 0.02, 0.03, 600))

    async def holds(device: Device) -> None:
        device.is_up()
        raise Unreachable("device.unplugged")

    ends = [Unreachable("device.unplugged")] * 3
    device = Scripted("printer", *ends, holds, *ends[:2])
    async with Kept(device, backoff=(600,)):
        await until(lambda: device.runs == 7)


async def test_asking_whether_a_host_is_there_connects_to_nobody() -> None:
    came = asyncio.Event()
    server = await asyncio.start_server(lambda *_: came.set(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for url in (f"socket://127.0.0.1:{port}", f"rfc2217://127.0.0.1:{port}"):
        await asyncio.wait_for(plugged(url), 20)
    assert not came.is_set()
    server.close()


async def test_another_reason_while_it_is_down_is_told(caplog) -> None:
    caplog.set_level(logging.INFO, "devices.keep")
    device = Scripted(
        "scale",
        Lost("device.sandboxed"),
        Lost("device.sandboxed"),
        Lost("device.silent"),
        Lost("device.sandboxed"),
        Refused("device.permission"),
    )
    async with Kept(device):
        await reaches(device, State.REFUSED)
        device.retry.set()
        await until(up(device))
    lines = [record.getMessage().split()[1:3] for record in caplog.records]
    assert lines == [
        ["failing", "device.sandboxed"],
        ["failing", "device.silent"],
        ["refused", "device.permission"],
        ["up"],
    ]


async def test_reasons_without_end_fill_no_log(caplog) -> None:
    caplog.set_level(logging.INFO, "devices.keep")
    device = Scripted("scale", *[Lost(f"device.reason-{number}") for number in range(50)])
    async with Kept(device, backoff=(0.001,)):
        await until(up(device))
    assert len(caplog.records) < 12


@pytest.mark.parametrize("error", [Lost, Absent, Refused, Unreachable, DeviceError])
def test_whatever_an_error_carries_is_text(error) -> None:
    said = error(5, code=5, none=None, half="\ud800", lines="a\nb", long="x" * 10**6)
    assert said.key == "5"
    assert all(isinstance(value, str) for value in said.params.values())
    assert said.params["code"] == "5"
    assert said.params["half"] == "?"
    assert said.params["lines"] == "a b"
    assert len(str(said)) < 10_000


async def test_a_reading_is_forgotten_also_where_idle_is_a_drivers_own() -> None:
    class Careless(Toledo8217):
        def idle(self) -> None:
            """Forgets to forget."""

        async def run(self) -> None:
            from decimal import Decimal

            from scale import Weight

            self.reading.set(Weight(Decimal(1), "kg"))
            raise Lost("device.silent")

    scale = Careless("scale", ToledoSettings(port="/dev/null"))
    async with Kept(scale, backoff=(600,)):
        await reaches(scale, State.FAILING)
        assert scale.reading.get() is None


def test_what_others_listen_to_cannot_be_replaced() -> None:
    scale = Toledo8217("scale", ToledoSettings(port="/dev/null"))
    for name in ("health", "retry", "reading", "name"):
        with pytest.raises(NonsenseError, match=name):
            setattr(scale, name, "rubbish")
