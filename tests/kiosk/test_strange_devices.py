"""Screens whose devices do, when they are asked, what no device may do."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from support.screens import Bench, come, ready, running, settle, state, until

from kiosk.booth import Booth
from kiosk.weighing import Weighing
from printer import NotPrinted


class WeirdError(BaseException):
    """Nothing that `except Exception` catches."""


async def exits(*_: object) -> None:
    raise SystemExit(4)


async def cancels(*_: object) -> None:
    raise asyncio.CancelledError


async def is_weird(*_: object) -> None:
    raise WeirdError


def at_once(*_: object) -> None:
    raise WeirdError


async def cancels_its_task(*_: object) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


async def awaits_the_cancelled(*_: object) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def says_nonsense(*_: object) -> None:
    raise NotPrinted(5, sure="perhaps")  # type: ignore[arg-type]


STRANGE = [exits, cancels, is_weird, at_once, cancels_its_task, awaits_the_cancelled]


@pytest.mark.parametrize("does", [*STRANGE, says_nonsense])
async def test_a_printer_that_does_it_gives_no_label_and_the_next_one_does(
    does, screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(screen, made)
    with monkeypatch.context() as patch:
        patch.setattr(made.printer, "print", does)
        screen.tap("print")
        page = await come(screen, "not_printed")
        assert page.problem is not None
        facts = await made.facts("label")
        assert [fact["action"] for fact in facts] == ["print", "void"]
    await asyncio.sleep(screen.calm_s + 0.1)
    screen.tap("retry")
    await come(screen, "take")


async def agrees_with_nonsense(*_: object) -> str:
    return "yes"


@pytest.mark.parametrize("does", [*STRANGE, agrees_with_nonsense])
async def test_a_scale_that_does_it_when_asked_once_more_gives_no_label(
    does, screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(screen, made)
    with monkeypatch.context() as patch:
        patch.setattr(made.scale, "confirmed", does)
        screen.tap("print")
        await come(screen, "ready")
        assert made.printer.labels == []
    screen.tap("print")
    await come(screen, "take")


@pytest.mark.parametrize("does", STRANGE)
async def test_a_scale_that_does_it_when_told_to_tare_still_weighs(
    does, screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.scale.put(126)
    await settle()
    with monkeypatch.context() as patch:
        patch.setattr(made.scale, "tare", does)
        patch.setattr(made.scale, "clear_tare", does)
        screen.tap("tare")
        await settle()
        screen.tap("cancel")
        await settle()
    made.scale.put(482)
    await settle()
    assert await state(screen) == "pick"


@pytest.mark.parametrize("does", STRANGE)
async def test_a_camera_that_does_it_gives_no_photo_and_the_booth_goes_on(
    does, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    booth = made.booth()
    booth.framing_s = booth.second_s = booth.told_s = 0.01
    async with running(booth, made.camera):
        for _ in range(2):
            monkeypatch.setattr(made.camera, "still", does)
            await _framed(booth, made)
            await until(booth.page, lambda page: page.state == "no_photo")
            await until(booth.page, lambda page: page.state == "badge_first")


async def _framed(booth: Booth, made: Bench) -> None:
    from support.screens import CAMILLE

    from badge_reader import BadgeRead

    await settle()
    made.reader.badges.publish(BadgeRead(CAMILLE))
    await until(booth.page, lambda page: page.state == "consent")
    booth.tap("start", booth.page.get().picture)


async def swallows(*_: object) -> None:
    """Does not end when it is cancelled, for a while."""
    end = asyncio.get_running_loop().time() + 20
    while (left := end - asyncio.get_running_loop().time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(left)


async def test_who_does_not_answer_and_does_not_end_is_given_up(
    screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.contained.END_S", 0.1)
    monkeypatch.setattr("kiosk.weighing.OBEYED_S", 0.1)
    monkeypatch.setattr(made.scale, "tare", swallows)
    made.scale.put(126)
    await settle()
    screen.tap("tare")
    await until(screen.page, lambda page: "tare" not in page.can)
    await until(screen.page, lambda page: "tare" in page.can)
    monkeypatch.setattr(screen, "_issuer", replace(screen._issuer, print_s=0.1))
    monkeypatch.setattr(made.printer, "print", swallows)
    await ready(screen, made)
    screen.tap("print")
    page = await come(screen, "not_printed")
    assert page.problem is not None
    assert not page.problem.sure
    assert [fact["action"] for fact in await made.facts("label")] == ["print", "void"]
