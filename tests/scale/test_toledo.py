"""The 8217 driver on real ptys, against a scale that plays every bad trick it can."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.readers import kept, until

from devices import DeviceError, Lost, State
from devices.ports import open_port
from devices.registry import load_decoder, load_driver, load_simulator
from devices.simulate import PtyHost, TcpHost
from scale import Scale, Tares, Weight, Zeroes
from scale import weight as weight_module
from scale.simulate import Toledo8217Simulator
from scale.toledo import Toledo8217, ToledoSettings, identify


@pytest.fixture(autouse=True, params=[0.0, 1.0], ids=["watched", "asked"])
def settled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that has been the same for so long is only watched for changes. All that a scale can
    do must end well in either state."""
    monkeypatch.setattr("scale.toledo._SETTLED", request.param)


class Bench:
    """A scale, its simulator, and every reading it ever showed."""

    def __init__(self, path: Path, simulator: Toledo8217Simulator, **settings: Any) -> None:
        self.simulator = simulator
        self.host = PtyHost(path, simulator)
        self.scale = Toledo8217("scale", ToledoSettings(port=str(path), **settings))
        self.shown: list[Weight | None] = []

    @property
    def reading(self) -> Weight | None:
        return self.scale.reading.get()

    @property
    def grams(self) -> int | None:
        return self.reading.grams if self.reading else None

    async def shows(self, grams: int) -> None:
        """And is sure of it."""
        await until(lambda: self.grams == grams and self.reading and self.reading.stable)

    async def watch(self) -> None:
        async for reading in self.scale.reading.changes():
            self.shown.append(reading)


@asynccontextmanager
async def bench(
    tmp_path: Path, simulator: Toledo8217Simulator | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "scale", simulator or Toledo8217Simulator(), **settings)
    watching = asyncio.create_task(made.watch())
    async with made.host, kept(made.scale):
        try:
            yield made
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


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


async def test_a_weight_is_confirmed_by_answers_that_come_after_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weight_module.CONFIRM_S == 0.5
    monkeypatch.setattr(weight_module, "CONFIRM_S", 20.0)  # this machine may be busy
    async with bench(tmp_path, Toledo8217Simulator(500)) as b:
        await b.shows(500)
        async with asyncio.timeout(20):
            while True:  # a busy machine may have missed an answer
                weight, asked = b.reading, b.simulator.requests
                if weight and await b.scale.confirmed(weight):
                    break
                await b.shows(500)
        assert b.simulator.requests > asked
        b.simulator.load = 600
        assert not await b.scale.confirmed(weight)
        await b.shows(600)
        assert not await b.scale.confirmed(weight)
        weight = b.reading
        assert weight
        b.simulator.silent = True
        assert not await b.scale.confirmed(weight)
        monkeypatch.setattr(weight_module, "CONFIRM_S", 0.0)
        b.simulator.silent = False
        await b.shows(600)
        assert not await b.scale.confirmed(weight), "no answer in time"


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


class Trickster(Toledo8217Simulator):
    """A scale on a bad line: `spoil` changes every answer on its way."""

    def __init__(self, load: int, spoil: Callable[[bytes], bytes]) -> None:
        super().__init__(load)
        self.spoil = spoil

    def feed(self, data: bytes) -> bytes:
        return self.spoil(super().feed(data))


async def test_noise_around_the_answers_changes_nothing(tmp_path: Path) -> None:
    noise = b"\xff\x00 99.999\r\x02 7"
    async with bench(tmp_path, Trickster(500, lambda answer: noise + answer)) as b:
        await b.shows(500)
        b.simulator.load = 600
        await b.shows(600)
        assert {weight.grams for weight in b.shown if weight} <= {500, 600}


@pytest.mark.parametrize("garbage", [b"\x02garbage\r", b"\x021.2.3\r", b"W", b"\x02" * 3000])
async def test_garbage_is_no_answer(tmp_path: Path, garbage: bytes) -> None:
    async with bench(tmp_path, Trickster(500, lambda answer: answer)) as b:
        await b.shows(500)
        b.simulator.spoil = lambda _: garbage
        await until(lambda: b.reading is None)
        await until(lambda: b.scale.health.get().state is State.FAILING)
        b.simulator.spoil = lambda answer: answer
        await b.shows(500)
        assert {weight.grams for weight in b.shown if weight} <= {500}


async def test_a_weight_that_lost_a_character_is_never_shown(tmp_path: Path) -> None:
    """The first digit of 12.345 kg lost makes 2.345 kg, which is a perfect frame."""
    answers = 0

    def lose_one_of_three(answer: bytes) -> bytes:
        nonlocal answers
        answers += 1
        return answer[:1] + answer[2:] if answers % 3 == 0 and len(answer) > 4 else answer

    async with bench(tmp_path, Trickster(12_345, lose_one_of_three)) as b:
        await b.shows(12_345)
        await until(lambda: answers > 60)
        assert {weight.grams for weight in b.shown if weight} <= {12_345}


class Late(Toledo8217Simulator):
    """A scale that takes its time."""

    delay = 0.0

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def feed(self, data: bytes) -> bytes:
        answer = super().feed(data)
        if not self.delay:
            return answer
        asyncio.get_running_loop().call_later(self.delay, self.send, answer)
        return b""


async def test_a_scale_that_takes_its_time_is_asked_no_faster(tmp_path: Path) -> None:
    simulator = Late(500)
    simulator.delay = 0.06
    async with bench(tmp_path, simulator, timeout_ms=500) as b:
        for grams in (500, 600, 0):
            simulator.load = grams
            await b.shows(grams)
            asked = simulator.requests
            await until(lambda before=asked: simulator.requests > before + 5)
        # The first answer of all is shown before a second one confirms it.
        assert [weight and weight.grams for weight in b.shown] == [None, 500, 500, 600, 0]


async def test_a_late_answer_is_not_taken_for_the_next_requests(tmp_path: Path) -> None:
    """The scale answers each request 100 ms too late; meanwhile the load has changed."""
    simulator = Late(500)
    async with bench(tmp_path, simulator, timeout_ms=200) as b:
        await b.shows(500)
        simulator.delay = 0.3
        await until(lambda: b.reading is None)
        b.shown.clear()
        await until(lambda: b.scale.health.get().state is State.FAILING)
        assert all(reading is None for reading in b.shown)
        simulator.delay, simulator.load = 0.0, 900
        await b.shows(900)
        assert {weight.grams for weight in b.shown if weight} <= {900}


async def test_answers_later_than_the_next_requests_are_never_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a box that carries the line over a network and holds all back for a second: the answer to
    one request comes when the third one waits for its own. The proportions are those of 1.1 s.
    """
    monkeypatch.setattr("scale.toledo._LATEST", 0.9)
    simulator = Late(500)
    async with bench(tmp_path, simulator, timeout_ms=150) as b:
        await b.shows(500)
        simulator.delay = 0.66
        await until(lambda: b.reading is None)
        b.shown.clear()
        simulator.load = 900
        for _ in range(20):
            b.scale.retry.set()  # or it is left alone for longer and longer
            await until(lambda before=simulator.requests: simulator.requests > before)
        assert [reading for reading in b.shown if reading] == []
        simulator.delay = 0.0
        await b.shows(900)
        assert {weight.grams for weight in b.shown if weight} <= {900}


async def test_what_was_asked_by_the_connection_before_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer comes when this one waits for its first."""
    monkeypatch.setattr("scale.toledo._LATEST", 0.5)
    simulator = Late(500)
    async with bench(tmp_path, simulator) as b:
        simulator.delay = 0.3
        b.host.unplug()
        b.host.plug()
        asyncio.get_running_loop().call_later(0.02, simulator.send, b"\x0200.777\r")
        await until(lambda: simulator.requests)
        simulator.delay = 0.0
        await b.shows(500)
        assert {weight.grams for weight in b.shown if weight} <= {500}


async def test_a_scale_without_echo_mode_is_believed_after_a_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoEcho(Late):
        def feed(self, data: bytes) -> bytes:
            return super().feed(data.translate(None, b"EFhello"))

    monkeypatch.setattr("scale.toledo._LATEST", 0.1)
    simulator = NoEcho(500)
    async with bench(tmp_path, simulator, timeout_ms=150) as b:
        await b.shows(500)
        simulator.delay = 0.2
        await until(lambda: b.reading is None)
        simulator.delay, simulator.load = 0.0, 700
        await b.shows(700)


def two_bits_wrong(answer: bytes, dice: random.Random) -> bytes:
    """Which a parity bit does not notice; in the digits, which is the worst place."""
    if len(answer) != 8:
        return answer
    place = dice.choice((1, 2, 4, 5, 6))
    return bytes(
        byte ^ (sum(1 << bit for bit in dice.sample(range(4), 2)) if at == place else 0)
        for at, byte in enumerate(answer)
    )


async def test_no_wrong_weight_is_ever_steady(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong bits, half frames and statuses in one answer of ten; loads that change."""
    monkeypatch.setattr("scale.toledo._LATEST", 0.1)
    dice = random.Random(7)
    answers = wrong = 0
    faults: list[Callable[[bytes], bytes]] = [
        lambda answer: two_bits_wrong(answer, dice),
        lambda answer: two_bits_wrong(answer, dice) + answer[:3],
        lambda answer: answer[: dice.randrange(len(answer))] or answer,
        lambda _: b"\x02?\x41\r",
    ]

    def spoil(answer: bytes) -> bytes:
        nonlocal answers, wrong
        answers += 1
        if not answer or dice.randrange(10):
            return answer
        spoilt = dice.choice(faults)(answer)
        wrong += spoilt != answer
        return spoilt

    loads = [dice.randrange(20, 15_000) for _ in range(12)]
    async with bench(tmp_path, Trickster(loads[0], spoil), baud=115_200, timeout_ms=150) as b:
        for n, load in enumerate(loads):
            b.simulator.load = load
            await b.shows(load)
            b.shown.clear()
            already = answers
            while answers < already + 40:
                b.scale.retry.set()
                await asyncio.sleep(0.005)
            steady = {weight.grams for weight in b.shown if weight and weight.stable}
            assert steady <= set(loads[: n + 1])
    assert wrong > 50


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
