"""The hosts of simulated devices: paths that vanish, lines with a speed, ports that come back."""

import asyncio
import os
import termios
import time
from pathlib import Path

import pytest
from support.echo import Echo, until

from devices import Refused, registry
from devices.ports import open_port, plugged
from devices.simulate import PtyHost, TcpHost


async def test_a_pty_host_is_a_path_that_comes_and_goes(tmp_path):
    path = tmp_path / "by-id" / "usb-scale"
    async with PtyHost(path, Echo()) as host:
        assert path.is_char_device()
        host.plug()
        assert path.is_char_device()
        host.unplug()
        assert not path.is_symlink()
        host.unplug()
        host.plug()
        assert path.is_char_device()
    assert not path.is_symlink()


async def test_a_link_left_by_a_killed_host_is_replaced(tmp_path):
    path = tmp_path / "scale"
    path.symlink_to("/dev/pts/gone")
    async with PtyHost(path, Echo()):
        assert path.is_char_device()


async def test_unplugging_ends_an_open_terminal(tmp_path):
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        fd = os.open(host.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            host.unplug()
            assert os.read(fd, 1) == b""  # a hang-up, as when a USB adapter is pulled out
            with pytest.raises(OSError, match="Input/output"):
                os.write(fd, b"x")
        finally:
            os.close(fd)


async def test_nothing_is_echoed_before_a_program_sets_the_terminal(tmp_path):
    simulator = Echo()
    async with PtyHost(tmp_path / "scale", simulator) as host:
        simulator.say(b"unasked\r\n")
        await asyncio.sleep(0.05)
        assert simulator.heard == b""
        fd = os.open(host.path, os.O_RDWR | os.O_NOCTTY)
        assert not termios.tcgetattr(fd)[3] & (termios.ECHO | termios.ICANON)
        os.close(fd)


async def test_what_was_said_before_the_port_was_opened_is_lost_as_on_a_real_line(tmp_path):
    simulator = Echo()
    async with PtyHost(tmp_path / "reader", simulator) as host:
        simulator.say(b"an hour ago")
        await asyncio.sleep(0.05)
        async with open_port(str(host.path)) as port:
            simulator.say(b"now")
            assert await port.read() == b"now"


async def test_a_silent_device_is_fed_and_says_nothing(tmp_path):
    for kind in ("pty", "tcp"):
        simulator = Echo()
        simulator.silent = True
        if kind == "pty":
            host = PtyHost(tmp_path / "scale", simulator)
            url = str(host.path)
        else:
            host = TcpHost(simulator)
        async with host:
            if kind == "tcp":
                url = f"socket://127.0.0.1:{host.port}"
            async with open_port(url) as port:
                await port.write(b"w")
                await until(lambda simulator=simulator: simulator.heard == b"w")
                simulator.say(b"unasked")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(port.read(), 0.1)
                simulator.silent = False
                await port.write(b"w")
                assert await port.read() == b"W"


async def test_with_a_speed_every_byte_takes_its_time_both_ways(tmp_path):
    """60 bytes there and 60 back at 1200 baud are a second of line time."""
    simulator = Echo()
    async with (
        PtyHost(tmp_path / "slow", simulator, baud=1200) as host,
        open_port(str(host.path)) as port,
    ):
        start = time.monotonic()
        await port.write(b"x" * 60)
        received = b""
        arrivals = []
        while len(received) < 60:
            received += await port.read()
            arrivals.append(time.monotonic() - start)
        # Both ways overlap by all but one byte, because the echo answers byte by byte.
        assert arrivals[-1] >= 61 / 120 * 0.98
        assert arrivals[0] >= 2 / 120 * 0.9
        assert len(arrivals) > 10


async def test_a_slow_line_holds_the_writer_back(tmp_path):
    simulator = Echo()
    async with (
        PtyHost(tmp_path / "slow", simulator, baud=9600) as host,
        open_port(str(host.path)) as port,
    ):
        writing = asyncio.create_task(port.write(bytes(200_000)))
        await asyncio.sleep(0.5)
        assert not writing.done()
        assert len(simulator.heard) < 5000
        writing.cancel()


async def test_a_device_that_babbles_while_nobody_reads_costs_no_memory_and_recovers(tmp_path):
    simulator = Echo()
    async with PtyHost(tmp_path / "scale", simulator) as host:
        for _ in range(100):
            simulator.say(bytes(65536))
        async with open_port(str(host.path)) as port:
            await asyncio.sleep(0.3)
            port.discard()
            got = b""
            async with asyncio.timeout(20):
                while not got.endswith(b"OK"):
                    await port.write(b"ok")
                    got += await port.read()
        assert len(got) < 400_000


async def test_a_tcp_host_keeps_its_port_over_an_unplugging():
    async with TcpHost(Echo()) as host:
        number = host.port
        await host.plug()
        await host.unplug()
        await host.unplug()
        await host.plug()
        assert host.port == number


async def test_what_a_tcp_device_says_unasked_goes_to_everybody():
    simulator = Echo()
    async with TcpHost(simulator) as host:
        url = f"socket://127.0.0.1:{host.port}"
        async with open_port(url) as one, open_port(url) as two:
            for port in (one, two):
                await port.write(b"x")
                assert await port.read() == b"X"
            simulator.say(b"news")
            assert await one.read() == b"news"
            assert await two.read() == b"news"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Echo` by the name a stranger's simulator would have."""
    point = registry.EntryPoint("echo", "support.echo:Echo", "edged.simulator")
    monkeypatch.setattr(registry, "drivers", lambda _family: {"echo": [point]})


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("query", ["", "?via=tcp", "?greeting=bonjour&count=7&silent=false"])
async def test_a_simulator_opens_like_any_port(query):
    before = len(list(Path("/proc/self/fd").iterdir()))
    await plugged(f"sim://echo{query}")
    async with open_port(f"sim://echo{query}") as port:
        await port.write(b"w")
        assert await port.read() == b"W"
    await until(lambda: len(list(Path("/proc/self/fd").iterdir())) == before)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    "query", ["nothing=1", "count=many", "_private=1", "feed=1", "via=radio", "silent=perhaps"]
)
async def test_a_setting_that_a_simulator_does_not_have_is_refused(query):
    with pytest.raises(Refused, match=r"device\.port_invalid"):
        async with open_port(f"sim://echo?{query}"):
            pass


async def test_a_simulator_that_plays_no_line_is_refused():
    with pytest.raises(Refused, match=r"device\.port_invalid"):
        async with open_port("sim://mjpeg"):
            pass


async def test_an_unknown_simulator_is_refused():
    with pytest.raises(Refused, match=r"device\.unknown_driver driver=escpso nearest=escpos"):
        async with open_port("sim://escpso"):
            pass
