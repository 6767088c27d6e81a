"""The link against a real broker, killed and restarted, with its ACL and its certificates."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.broker import Mosquitto, mosquitto
from support.certificates import authority, strict_by_default
from support.linked import held

from mqtt.link import Address, Down, Gone, Incoming, Outgoing, Reason, Session, reach


async def next_message(session: Session) -> Incoming:
    async with asyncio.timeout(20):
        return await anext(session.messages())


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_message_goes_round(tmp_path: Path, version: Any) -> None:
    async with (
        mosquitto(tmp_path) as broker,
        held(Address.parse(broker.url, version=version)) as link,
    ):
        session = await link.session()
        assert link.link.state.get().up
        assert link.link.state.get().key == ("link.up" if version == "5" else "link.v311")
        await session.subscribe("a/+")
        assert await session.publish(Outgoing("a/b", b"hello")) is Reason.OK
        message = await next_message(session)
        assert (message.topic, message.body, message.retain) == ("a/b", b"hello", False)
        message.done()
        assert await session.publish(Outgoing("a/c", b"reading", qos=0)) is Reason.OK
        assert (await next_message(session)).body == b"reading"


async def test_properties_go_round(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker, held(Address.parse(broker.url)) as link:
        session = await link.session()
        await session.subscribe("do/#")
        await session.publish(
            Outgoing(
                "do/it",
                b"{}",
                expiry=60,
                properties={"id": "1", "é": "ü"},
                response_topic="did/it",
                correlation=b"\x00\x01",
            )
        )
        message = await next_message(session)
        assert message.properties == {"id": "1", "é": "ü"}
        assert (message.response_topic, message.correlation) == ("did/it", b"\x00\x01")


async def test_an_expired_message_does_not_come(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker:
        address = Address.parse(broker.url)
        persistent = {"clean": False, "session_expiry": 600, "client_id": "sleeper"}
        async with held(address, **persistent) as sleeper:
            await (await sleeper.session()).subscribe("do/#")
        async with held(address, client_id="other") as other:
            session = await other.session()
            await session.publish(Outgoing("do/old", b"", expiry=1))
            await session.publish(Outgoing("do/new", b""))
        await asyncio.sleep(2.1)
        async with held(address, **persistent) as sleeper:
            assert (await next_message(await sleeper.session())).topic == "do/new"


async def test_many_at_once_stay_in_order(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker, held(Address.parse(broker.url)) as link:
        session = await link.session()
        await session.subscribe("fact")
        numbers = range(1000)
        sent = [asyncio.create_task(session.publish(Outgoing("fact", b"%d" % n))) for n in numbers]
        for number in numbers:
            message = await next_message(session)
            assert message.body == b"%d" % number
            message.done()
        assert set(await asyncio.gather(*sent)) == {Reason.OK}


async def test_nobody_listening_is_said(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker, held(Address.parse(broker.url)) as link:
        session = await link.session()
        assert await session.publish(Outgoing("nobody/there", b"")) is Reason.NOBODY


async def test_the_acl_s_refusal_is_said(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic write mine/#\n")
    config = f"allow_anonymous true\nacl_file {tmp_path / 'acl'}\n"
    async with mosquitto(tmp_path, config) as broker:
        async with held(Address.parse(broker.url)) as link:
            session = await link.session()
            assert await session.publish(Outgoing("theirs/a", b"")) is Reason.REFUSED
            assert await session.publish(Outgoing("mine/a", b"")) is Reason.NOBODY
            assert not session.over.is_set()
        async with held(Address.parse(broker.url, version="3.1.1")) as link:
            session = await link.session()
            # What MQTT 3.1.1 cannot say: hence the warning link.v311.
            assert await session.publish(Outgoing("theirs/a", b"")) is Reason.OK


@pytest.mark.parametrize("limit", ["message_size_limit", "max_packet_size"])
async def test_a_message_too_large_is_said(tmp_path: Path, limit: str) -> None:
    async with (
        mosquitto(tmp_path, f"allow_anonymous true\n{limit} 1000\n") as broker,
        held(Address.parse(broker.url)) as link,
    ):
        session = await link.session()
        assert await session.publish(Outgoing("a", b"x" * 2000)) is Reason.TOO_LARGE
        assert await session.publish(Outgoing("a", b"x" * 500)) is Reason.NOBODY


async def test_a_restarted_broker_gets_us_back(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker, held(Address.parse(broker.url)) as link:
        first = await link.session()
        await broker.kill()
        await link.becomes("link.down")
        with pytest.raises(Gone):
            await first.publish(Outgoing("a", b""))
        await broker.start()
        second = await link.session()
        await second.subscribe("a")
        assert await second.publish(Outgoing("a", b"")) is Reason.OK
        assert link.link.state.get().key == "link.up"


async def test_a_broker_that_freezes_is_noticed(tmp_path: Path) -> None:
    """SIGSTOP: the connection stays open and nothing comes, as when a cable is pulled."""
    async with mosquitto(tmp_path) as broker, held(Address.parse(broker.url), keepalive=1) as link:
        session = await link.session()
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                await session.over.wait()
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        await link.session()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("end", ["killed", "ended"])
async def test_the_will_is_delivered_however_a_connection_ends(
    tmp_path: Path, version: Any, end: str
) -> None:
    births = iter(range(1, 9))

    def will() -> Outgoing:
        return Outgoing("state", b"offline %d" % next(births), retain=True)

    async with mosquitto(tmp_path) as broker:
        address = Address.parse(broker.url, version=version)
        async with held(Address.parse(broker.url), client_id="watcher") as watcher:
            watching = await watcher.session()
            await watching.subscribe("state")
            async with held(address, client_id="station", will=will) as station:
                session = await station.session()
                if end == "killed":
                    session._wire.cut()
                    assert (await next_message(watching)).body == b"offline 1"
                    await station.session()
            expected = b"offline 2" if end == "killed" else b"offline 1"
            assert (await next_message(watching)).body == expected


async def test_what_was_not_done_comes_again_on_a_persistent_session(tmp_path: Path) -> None:
    persistent = {"clean": False, "session_expiry": 600, "client_id": "bridge"}
    async with mosquitto(tmp_path) as broker:
        address = Address.parse(broker.url)
        async with held(address, client_id="station") as station:
            sender = await station.session()
            async with held(address, **persistent) as bridge:
                session = await bridge.session()
                assert not session.session_present
                await session.subscribe("fact/#")
                for name in ("fact/1", "fact/2", "fact/3"):
                    assert await sender.publish(Outgoing(name, b"")) is Reason.OK
                stream = session.messages()
                (await anext(stream)).done()
                await anext(stream)  # read, but never done
            async with held(address, **persistent) as bridge:
                session = await bridge.session()
                assert session.session_present
                assert [(await next_message(session)).topic for _ in range(2)] == [
                    "fact/2",
                    "fact/3",
                ]


async def test_a_reader_that_is_not_done_holds_the_broker_back(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker:
        address = Address.parse(broker.url)
        async with held(address) as slow, held(address, client_id="station") as station:
            reader, sender = await slow.session(), await station.session()
            await reader.subscribe("fact")
            for n in range(150):
                assert await sender.publish(Outgoing("fact", b"%d" % n)) is Reason.OK
            first = [await next_message(reader) for _ in range(100)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(reader.messages())
            for message in first:
                message.done()
            rest = [await next_message(reader) for _ in range(50)]
            assert [int(message.body) for message in first + rest] == list(range(150))


async def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("station:right\n")
    subprocess.run(["mosquitto_passwd", "-U", tmp_path / "passwords"], check=True)
    config = f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}\n"
    async with mosquitto(tmp_path, config) as broker:
        await reach(Address.parse(broker.url, user="station", password="right"))
        for version in ("5", "3.1.1"):
            with pytest.raises(Down) as refused:
                await reach(
                    Address.parse(broker.url, user="station", password="no", version=version)
                )
            assert refused.value.key == "link.refused"


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture
async def secured(tmp_path: Path) -> Any:
    authority(tmp_path / "pki", "server", "station")
    authority(tmp_path / "other", "station")
    pki = tmp_path / "pki"
    config = (
        f"cafile {pki / 'ca.crt'}\ncertfile {pki / 'server.crt'}\nkeyfile {pki / 'server.key'}\n"
        "require_certificate true\nuse_identity_as_username true\n"
    )
    async with mosquitto(tmp_path / "broker", config, scheme="mqtts") as broker:
        yield broker


def files(folder: Path) -> dict[str, Path]:
    return {"cert": folder / "station.crt", "key": folder / "station.key"}


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_certificates_both_ways(
    secured: Mosquitto, tmp_path: Path, version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict_by_default(monkeypatch)
    pki = tmp_path / "pki"
    address = Address.parse(secured.url, ca=pki / "ca.crt", **files(pki), version=version)
    async with held(address) as link:
        session = await link.session()
        await session.subscribe("a")
        assert await session.publish(Outgoing("a", b"x" * 200_000)) is Reason.OK
        assert len((await next_message(session)).body) == 200_000
        await secured.kill()
        await link.becomes("link.down")


@pytest.mark.parametrize("wrong", ["ca", "client", "none", "missing", "name"])
async def test_a_wrong_certificate_is_told_as_such(
    secured: Mosquitto, tmp_path: Path, wrong: str
) -> None:
    pki, other = tmp_path / "pki", tmp_path / "other"
    ca = (other if wrong == "ca" else pki) / "ca.crt"
    own = {"none": {}, "client": files(other), "missing": files(tmp_path)}.get(wrong, files(pki))
    url = secured.url.replace("127.0.0.1", "localhost") if wrong == "name" else secured.url
    with pytest.raises(Down) as down:
        await reach(Address.parse(url, ca=ca, **own))
    assert down.value.key == "link.tls"
    assert (str(tmp_path / "station.key") in str(down.value)) == (wrong == "missing")


async def test_the_system_s_authorities_are_trusted_beside_ca(
    secured: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker changes to a certificate of the system's authorities, and `ca` is still named."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pki" / "ca.crt"))
    other = tmp_path / "other" / "ca.crt"
    await reach(Address.parse(secured.url, ca=other, **files(tmp_path / "pki")))
