"""What an 8217 is believed, on a line that does everything which a line can do."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.readers import until
from support.scales import Late, Trickster, bench

from devices import State
from scale import weight as weight_module
from scale.simulate import Toledo8217Simulator

pytestmark = pytest.mark.usefixtures("settled")


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
