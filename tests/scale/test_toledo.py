"""The 8217 driver on real ptys, against a scale that plays every bad trick it can."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.readers import kept, until
from support.scales import bench

from devices import DeviceError, Lost, State
from devices.ports import open_port
from devices.registry import load_decoder, load_driver, load_simulator
from devices.simulate import PtyHost, TcpHost
from scale import Scale, Tares, Weight, Zeroes
from scale.simulate import Toledo8217Simulator
from scale.toledo import Toledo8217, ToledoSettings, identify

pytestmark = pytest.mark.usefixtures("settled")


async def test_the_load_is_shown_and_its_changes_too(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(1234)) as b:
        await b.shows(1234)
        assert b.reading == Weight(
            Decimal("1.234"), "kg", stable=True, net=False, over=False, under=False
        )
        assert b.reading.raw == b"01.234"
        assert b.scale.health.get().state is State.UP
        for grams in (0, 5, 14_999, 1000):
            b.simulator.load = grams
            await b.shows(grams)


async def test_a_weight_that_stays_stays_fresh_and_its_end_is_seen(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(1234)) as b:
        await b.shows(1234)
        for _ in range(3):
            first = b.reading
            assert first
            await until(lambda old=first.at: b.reading is not None and b.reading.at > old)
            assert b.reading == first
        asked = b.simulator.requests
        await until(lambda: b.simulator.requests > asked + 50)
        assert b.shown == [None, replace(first, stable=False), first]
        b.simulator.load = 77
        await b.shows(77)


async def test_pounds_are_pounds(tmp_path: Path) -> None:
    simulator = Toledo8217Simulator(1116, unit="lb")
    async with bench(tmp_path, simulator, unit="lb") as b:
        await until(lambda: b.reading)
        assert b.reading
        assert (str(b.reading.value), b.reading.unit) == ("2.46", "lb")


async def test_parity_left_in_bit_7_does_no_harm(tmp_path: Path) -> None:
    simulator = Toledo8217Simulator(1234, parity_in_bit_7=True)
    async with bench(tmp_path, simulator, bits=8, parity="N") as b:
        await b.shows(1234)


@pytest.mark.parametrize(
    ("flag", "disturb"),
    [
        ("moving", lambda s: setattr(s, "moving", True)),
        ("over", lambda s: setattr(s, "load", 15_001)),
        ("under", lambda s: setattr(s, "load", -5)),
    ],
)
async def test_a_condition_takes_the_number_away(
    tmp_path: Path, flag: str, disturb: Callable[[Toledo8217Simulator], None]
) -> None:
    async with bench(tmp_path, Toledo8217Simulator(500)) as b:
        await b.shows(500)
        disturb(b.simulator)
        await until(lambda: b.reading is not None and b.reading.value is None)
        assert b.reading
        flags = {
            "moving": not b.reading.stable,
            "over": b.reading.over,
            "under": b.reading.under,
        }
        assert [name for name, is_set in flags.items() if is_set] == [flag]
        b.simulator.moving, b.simulator.load = False, 600
        await b.shows(600)
        assert {weight.grams for weight in b.shown if weight} <= {500, None, 600}


async def test_silence_takes_the_number_away_and_then_the_scale_is_lost(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(500)) as b:
        await b.shows(500)
        b.simulator.silent = True
        await until(lambda: b.reading is None)
        await until(lambda: b.scale.health.get().state is State.FAILING)
        assert b.scale.health.get().key == "device.silent"
        b.simulator.silent, b.simulator.load = False, 700
        await b.shows(700)
        assert b.scale.health.get().state is State.UP


async def test_silence_is_noticed_within_half_a_second() -> None:
    simulator = Toledo8217Simulator(500)
    async with TcpHost(simulator) as host:
        scale = Toledo8217("scale", ToledoSettings(port=f"socket://127.0.0.1:{host.port}"))
        async with kept(scale):
            await until(scale.reading.get)
            simulator.silent = True
            async with asyncio.timeout(1.5):  # half a second, on a machine busy with other tests
                await until(lambda: scale.reading.get() is None)


async def test_unplugged_the_number_goes_and_plugged_it_comes_back(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(500)) as b:
        for grams in (500, 600):
            b.simulator.load = grams
            await b.shows(grams)
            b.host.unplug()
            await until(lambda: b.reading is None)
            b.host.plug()
            await b.shows(grams)


async def test_a_scale_set_to_another_unit_needs_a_person(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(500, unit="lb"), unit="kg") as b:
        await until(lambda: b.scale.health.get().state is State.REFUSED)
        assert b.scale.health.get().key == "scale.wrong_unit"
        assert b.shown == [None]


async def test_tare_zero_and_clear_happen_only_when_asked(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(200)) as b:
        await b.shows(200)
        assert isinstance(b.scale, Scale)
        assert isinstance(b.scale, Tares)
        assert isinstance(b.scale, Zeroes)
        await b.scale.tare()
        await b.shows(0)
        assert b.reading
        assert b.reading.net
        b.simulator.load = 450
        await b.shows(250)
        await b.scale.clear_tare()
        await b.shows(450)
        assert not b.reading.net
        b.simulator.load = 3
        await b.shows(3)
        await b.scale.zero()
        await b.shows(0)
        assert b.simulator.zero == 3
        assert not b.simulator.tare


@pytest.mark.parametrize(
    ("state", "ask", "key"),
    [
        ({"moving": True}, Toledo8217.tare, "scale.moving"),
        ({"moving": True}, Toledo8217.zero, "scale.moving"),
        ({"load": 0}, Toledo8217.tare, "scale.tare_refused"),
        ({"load": 5000}, Toledo8217.zero, "scale.zero_refused"),
        ({"moving": True, "load": 0}, Toledo8217.zero, "scale.moving"),
        # With a tare from before, which the scale goes on telling.
        ({"moving": True, "tare": 50}, Toledo8217.tare, "scale.moving"),
        ({"load": 20_000, "tare": 50}, Toledo8217.tare, "scale.tare_refused"),
    ],
)
async def test_a_scale_may_refuse(
    tmp_path: Path, state: dict[str, Any], ask: Callable[[Toledo8217], Any], key: str
) -> None:
    async with bench(tmp_path, Toledo8217Simulator(100)) as b:
        await b.shows(100)
        for name, value in state.items():
            setattr(b.simulator, name, value)
        with pytest.raises(DeviceError, match=key):
            await ask(b.scale)
        assert b.simulator.tare == state.get("tare", 0)
        b.simulator.moving, b.simulator.tare, b.simulator.load = False, 0, 800
        await b.shows(800)


async def test_a_request_to_a_scale_that_falls_silent_ends(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(100)) as b:
        await b.shows(100)
        b.simulator.silent = True
        with pytest.raises(DeviceError, match=r"device\.silent"):
            await b.scale.tare()
        assert b.reading is None


async def test_a_request_to_a_scale_that_is_unplugged_ends(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(100), timeout_ms=500) as b:
        await b.shows(100)
        b.simulator.silent = True
        asked = [asyncio.create_task(b.scale.tare()) for _ in range(3)]
        await asyncio.sleep(0.05)
        b.host.unplug()
        for task in asked:
            with pytest.raises(Lost):
                await task
        await until(lambda: b.scale.health.get().state is not State.UP)
        with pytest.raises(Lost, match=r"device\.unplugged"):
            await b.scale.zero()


async def test_whoever_asked_may_have_gone(tmp_path: Path) -> None:
    async with bench(tmp_path, Toledo8217Simulator(100)) as b:
        await b.shows(100)
        asked = asyncio.create_task(b.scale.tare())
        await asyncio.sleep(0)
        asked.cancel()
        b.simulator.load = 300
        await b.shows(300)
        assert not b.simulator.tare


async def test_a_probe_knows_an_8217_and_leaves_it_weighing(tmp_path: Path) -> None:
    simulator = Toledo8217Simulator(100)
    path = tmp_path / "scale"
    async with PtyHost(path, simulator, baud=9600), open_port(str(path)) as port:
        assert await identify(port)
        assert not simulator.echoing
        simulator.silent = True
        assert not await identify(port, timeout=0.1)
        await until(lambda: not simulator.echoing)


async def test_a_scale_that_a_dead_probe_left_echoing_comes_back(tmp_path: Path) -> None:
    simulator = Toledo8217Simulator(100)
    simulator.echoing = True
    async with bench(tmp_path, simulator) as b:
        await b.shows(100)
        assert not simulator.echoing


async def test_a_scale_at_the_speed_of_a_real_line(tmp_path: Path) -> None:
    simulator = Toledo8217Simulator(100)
    path = tmp_path / "paced"
    scale = Toledo8217("scale", ToledoSettings(port=str(path)))
    async with PtyHost(path, simulator, baud=9600), kept(scale):
        for grams in (100, 2500, 0):
            simulator.load = grams
            await until(lambda g=grams: (w := scale.reading.get()) is not None and w.grams == g)


async def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    async with PtyHost(tmp_path / "scale", Toledo8217Simulator(100)):
        scale = Toledo8217("scale", ToledoSettings(port=str(tmp_path / "scale")))
        before = asyncio.all_tasks()
        for _ in range(3):
            async with kept(scale):
                await until(scale.reading.get)
            assert scale.reading.get() is None
        assert asyncio.all_tasks() == before


def test_the_driver_the_simulator_and_the_decoder_are_found_by_name() -> None:
    assert load_driver("scale", "mettler-8217") is Toledo8217
    assert load_simulator("mettler-8217") is Toledo8217Simulator
    assert load_decoder("mettler-8217")({"hex": "0230312E3233340D"})["value"] == "1.234"
