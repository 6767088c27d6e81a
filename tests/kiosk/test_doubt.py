"""A label of which nobody learnt whether it came out: the station ended between fact and paper."""

import asyncio

import pytest
from support.disks import takes_nothing
from support.screens import Bench, come, ready, running, settle, until

from printer import NotPrinted


async def labels(made: Bench, count: int) -> list[dict[str, object]]:
    async with asyncio.timeout(20):
        while len(facts := await made.facts("label")) < count:
            await asyncio.sleep(0.01)
    return facts


async def cut_off(made: Bench) -> None:
    """A station that ends between fact and paper. The screen's end lets the printer's job go: like
    a kill, nothing is said of it any more.
    """
    made.printer.gate.clear()
    async with running(screen := made.weighing()):
        await ready(screen, made)
        screen.tap("print")
        await labels(made, 1)


async def test_a_label_cut_off_by_the_end_of_the_station_is_voided_at_the_next_start(
    made: Bench,
) -> None:
    await cut_off(made)
    async with running(made.weighing()):
        printed, void = await labels(made, 2)
    assert (printed["action"], void["action"]) == ("print", "void")
    assert void["why"] == "restart (not sure)"
    same = ("label", "net_g", "tare_g", "barcode", "product", "price_cents")
    assert [void[name] for name in same] == [printed[name] for name in same]
    async with running(made.weighing()):
        await settle()
        assert len(await made.facts("label")) == 2  # once


async def test_a_label_that_came_out_stands_after_a_restart(made: Bench) -> None:
    async with running(screen := made.weighing()):
        await ready(screen, made)
        screen.tap("print")
        await come(screen, "take")
    async with running(made.weighing()):
        await settle()
    async with running(screen := made.weighing()):
        made.scale.put(0)
        await settle()
        await ready(screen, made, 700)
        screen.tap("print")
        await come(screen, "take")
    assert [fact["action"] for fact in await labels(made, 2)] == ["print", "print"]


async def test_a_disk_that_does_not_take_the_voiding_stops_no_scale_and_it_is_made_up_for(
    made: Bench,
) -> None:
    await cut_off(made)
    with takes_nothing():
        async with running(screen := made.weighing()):
            await until(made.store.outbox.trouble, bool)
            await settle()
            await ready(screen, made, 700)
    async with running(made.weighing()):
        assert (await labels(made, 2))[1]["action"] == "void"


@pytest.mark.parametrize(
    ("sure", "why"), [(True, "printer.paper_out"), (False, "printer.paper_out (not sure)")]
)
async def test_a_voided_label_says_whether_it_may_have_come_out_all_the_same(
    made: Bench, sure: bool, why: str
) -> None:
    made.printer.failure = NotPrinted("printer.paper_out", sure=sure)
    async with running(screen := made.weighing()):
        await ready(screen, made)
        screen.tap("print")
        assert (await labels(made, 2))[1]["why"] == why
