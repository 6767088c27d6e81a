"""A label of which nobody learnt whether it came out: the station ended between fact and paper."""

import asyncio

from support.screens import Bench, come, ready, running, settle


async def labels(made: Bench, count: int) -> list[dict[str, object]]:
    async with asyncio.timeout(20):
        while len(facts := await made.facts("label")) < count:
            await asyncio.sleep(0.01)
    return facts


async def test_a_label_cut_off_by_the_end_of_the_station_is_voided_at_the_next_start(
    made: Bench,
) -> None:
    made.printer.gate.clear()
    async with running(screen := made.weighing()):
        await ready(screen, made)
        screen.tap("print")
        await labels(made, 1)
    # The screen's end lets the printer's job go: like a kill, nothing is said of it any more.
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
