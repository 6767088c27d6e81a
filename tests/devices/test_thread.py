"""Blocking calls in threads of their own: on time, late, failed and given up."""

import asyncio
import threading
from contextlib import suppress

import pytest
from support.echo import until

from devices.thread import in_thread


async def test_a_result_and_an_error_come_through():
    assert await in_thread(lambda: 7, timeout=10) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0, timeout=10)


async def test_a_time_out_of_the_call_itself_is_no_late_result():
    undone: list[object] = []

    def fail() -> None:
        raise TimeoutError("the call's own")

    with pytest.raises(TimeoutError, match="the call's own"):
        await in_thread(fail, timeout=10, undo=undone.append)
    assert undone == []


@pytest.mark.parametrize("give_up", ["time-out", "cancel"])
async def test_a_late_result_is_undone_once(give_up):
    release, undone = threading.Event(), []

    def late() -> str:
        release.wait(20)
        return "a port"

    call = asyncio.create_task(
        in_thread(late, timeout=0.05 if give_up == "time-out" else 60, undo=undone.append)
    )
    await asyncio.sleep(0.1)
    if give_up == "cancel":
        call.cancel()
    with pytest.raises((TimeoutError, asyncio.CancelledError)):
        await call
    assert undone == []
    release.set()
    await until(lambda: undone == ["a port"])


async def test_many_hanging_calls_leave_the_loop_and_its_executor_free():
    release = threading.Event()
    calls = [asyncio.create_task(in_thread(release.wait, timeout=60)) for _ in range(40)]
    await asyncio.sleep(0.05)
    assert await asyncio.to_thread(lambda: "free") == "free"
    release.set()
    await asyncio.gather(*calls)


async def test_no_result_is_lost_when_both_happen_at_once():
    """Each call either gives its result or has it undone."""
    undone: list[int] = []
    given: list[int] = []

    async def one(number: int) -> None:
        with suppress(TimeoutError):
            given.append(await in_thread(lambda: number, timeout=0.002, undo=undone.append))

    for start in range(0, 200, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))
    await until(lambda: len(given) + len(undone) == 200)
    assert sorted(given + undone) == list(range(200))
