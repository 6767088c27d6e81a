"""The private broker: who gets in, from where, and when it dies."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.broker import free_port
from support.linked import held

from mqtt import broker as broker_module
from mqtt.broker import BrokerFailed, BrokerMissing, PrivateBroker
from mqtt.link import Address, Down, Outgoing, Reason, reach

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["mosquitto", "iotcore"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test once with either broker: iotcore is what is left where mosquitto is not found."""
    if request.param == "iotcore":
        monkeypatch.setattr(broker_module.shutil, "which", lambda *_, **__: None)
    return str(request.param)


async def test_it_lets_its_user_in_and_carries_messages(kind: str, tmp_path: Path) -> None:
    async with PrivateBroker(tmp_path / "broker") as broker:
        assert broker.kind == kind
        assert Address.parse(broker.url) == broker.address
        async with held(broker.address) as link:
            session = await link.session()
            await session.subscribe("a/#")
            assert await session.publish(Outgoing("a/b", b"x" * 300_000)) is Reason.OK
            async with asyncio.timeout(20):
                message = await anext(session.messages())
            assert len(message.body) == 300_000
            message.done()


async def test_nobody_else_gets_in(kind: str, tmp_path: Path) -> None:
    async with PrivateBroker(tmp_path) as broker:
        for stranger in (
            replace(broker.address, password="guess"),
            replace(broker.address, user=None, password=None),
        ):
            with pytest.raises(Down):
                await reach(stranger)


async def test_it_listens_on_this_machine_only(kind: str, tmp_path: Path) -> None:
    async with PrivateBroker(tmp_path) as broker:
        listening = [
            fields[1]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if (fields := line.split())[3] == "0A" and fields[1].endswith(f":{broker.port:04X}")
        ]
        assert listening == [f"0100007F:{broker.port:04X}"]


async def test_its_secrets_are_readable_by_us_alone(kind: str, tmp_path: Path) -> None:
    async with PrivateBroker(tmp_path) as broker:
        assert broker.address.password is not None
        assert broker.address.password not in repr(broker.address)
        for path in tmp_path.iterdir():
            if not path.name.endswith(".log"):
                assert path.stat().st_mode & 0o777 == 0o600


async def test_nothing_is_left_when_it_is_closed(kind: str, tmp_path: Path) -> None:
    async with PrivateBroker(tmp_path) as broker:
        address = broker.address
    with pytest.raises(Down):
        await reach(address)


async def test_a_port_that_is_taken_is_told(kind: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BrokerFailed) as failed:
            async with PrivateBroker(tmp_path, other.getsockname()[1]):
                pass
        assert failed.value.log.parent == tmp_path


async def test_no_broker_installed_names_both_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(broker_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BrokerMissing, match=r"apt install mosquitto.*pip install 'edged\[demo\]'"):
        async with PrivateBroker(tmp_path):
            pass


PARENT = """
import asyncio, sys
from pathlib import Path
from mqtt import broker as module
if sys.argv[2] == "iotcore":
    module.shutil.which = lambda *_, **__: None
async def main():
    async with module.PrivateBroker(Path(sys.argv[1]), int(sys.argv[3])):
        print("up", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("kind_of_parent", ["mosquitto", "iotcore"])
async def test_it_dies_with_a_parent_that_is_killed(kind_of_parent: str, tmp_path: Path) -> None:
    port = free_port()
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), kind_of_parent, str(port),
        stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert parent.stdout is not None
    assert await asyncio.wait_for(parent.stdout.readline(), 30) == b"up\n"
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                break
            writer.close()
            await asyncio.sleep(0.05)


async def test_the_broker_does_not_speak_to_our_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's mosquitto says READY=1 where NOTIFY_SOCKET leads: that must be for us to say."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        async with PrivateBroker(tmp_path / "broker") as broker:
            assert broker.kind == "mosquitto"
            await reach(broker.address)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
