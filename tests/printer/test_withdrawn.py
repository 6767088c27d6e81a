"""Labels that are taken back in time, and labels of which a new connection says nothing."""

import asyncio

import pytest
from support.echo import until
from support.labels import APPLES, CARROTS
from support.printers import dots, driver, printing, running

from devices.simulate import TcpHost
from printer import NotPrinted, Paper, Withdrawn, spool
from printer.simulate import EscposSimulator


async def test_a_label_that_became_untrue_is_withdrawn_before_its_first_byte() -> None:
    simulator = EscposSimulator()
    async with printing(simulator) as (printer, _):

        async def no() -> bool:
            return False

        async def yes() -> bool:
            return True

        with pytest.raises(Withdrawn):
            await printer.print(APPLES, no)
        await printer.print(CARROTS, yes)
        assert list(map(dots, simulator.printed)) == [dots(printer.preview(CARROTS))]


class Forgetful(EscposSimulator):
    """Behind a print server that answers for it, and loses jobs."""

    loses = False

    def feed(self, data: bytes) -> bytes:
        return super().feed(b"" if self.loses and len(data) > 100 else data)


@pytest.mark.parametrize("knows_gs_r", [True, False])
async def test_after_a_new_connection_a_label_is_out_when_the_printer_says_so(
    monkeypatch: pytest.MonkeyPatch, knows_gs_r: bool
) -> None:
    """It may have been switched off and on, and have lost the job."""
    monkeypatch.setattr(spool, "SLOWEST", 200)
    simulator = Forgetful()
    simulator.knows_gs_r = knows_gs_r
    async with TcpHost(simulator) as host:
        printer = driver(f"socket://127.0.0.1:{host.port}")
        for _ in range(3):
            simulator.loses = False
            async with running(printer) as run:
                await until(lambda: printer.paper.get() is Paper.OK)
                if knows_gs_r:
                    await printer.print(APPLES)
                await host.unplug()
                await asyncio.wait({run})
            await host.plug()
            simulator.loses = True
            async with running(printer):
                await until(lambda: printer.paper.get() is Paper.OK)
                for _ in range(2 if knows_gs_r else 1):
                    with pytest.raises(NotPrinted) as failure:
                        await printer.print(APPLES)
                    assert (failure.value.key, failure.value.sure) == ("printer.lost", False)
