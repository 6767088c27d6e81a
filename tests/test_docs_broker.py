"""The broker of the security page, set up as it says: certificate, settings, users and rights."""

import shlex
import subprocess
from pathlib import Path

from support.broker import mosquitto
from support.linked import held
from support.pages import LANGUAGES, blocks, page

from mqtt.link import Address, Outgoing, Reason
from mqtt.topics import StationTopics


def test_both_languages_give_the_same_rights() -> None:
    rights = [
        [line for line in blocks(page(language, "security"), "conf acl")[0].splitlines()
         if not line.startswith("#")]
        for language in LANGUAGES
    ]  # fmt: skip
    assert rights[0] == rights[1]
    for info in ("conf mosquitto.conf", "sh certificate"):
        assert blocks(page("en", "security"), info) == blocks(page("fr", "security"), info)


async def test_the_broker_of_the_page_lets_its_users_in_and_nobody_else(tmp_path: Path) -> None:
    """Its certificate passes the strict rules that Python has from 3.13 on."""
    text = page("en", "security")
    (commands,) = blocks(text, "sh certificate")
    certs = tmp_path / "certs"
    certs.mkdir()
    for command in commands.replace("DNS:broker.example.coop", "IP:127.0.0.1").splitlines():
        subprocess.run(shlex.split(command), check=True, cwd=certs, capture_output=True)
    strict = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"]
    subprocess.run([*strict, "ca.crt", "broker.crt"], check=True, cwd=certs, capture_output=True)
    passwords = ["mosquitto_passwd", "-b", "-c", tmp_path / "edged.passwords"]
    subprocess.run([*passwords, "lyon-bulk-1", "secret"], check=True)
    (tmp_path / "edged.acl").write_text(blocks(text, "conf acl")[0])
    (settings,) = blocks(text, "conf mosquitto.conf")
    settings = settings.removeprefix("listener 8883\n").replace("/etc/mosquitto", str(tmp_path))
    settings += f"persistence_location {tmp_path}/\n"
    async with mosquitto(tmp_path / "broker", settings, scheme="mqtts") as broker:
        for user, password, key in (
            ("lyon-bulk-1", "secret", "link.up"),
            ("lyon-bulk-1", "guessed", "link.refused"),
            (None, None, "link.refused"),
        ):
            address = Address.parse(broker.url, user=user, password=password, ca=certs / "ca.crt")
            async with held(address) as link:
                await link.becomes(key)


async def test_rights_are_enough_and_no_more(tmp_path: Path) -> None:
    (acl,) = blocks(page("en", "security"), "conf acl")
    (tmp_path / "acl").write_text(acl)
    ours = StationTopics("edged/v1", "lyon", "bulk-1")
    theirs = StationTopics("edged/v1", "lyon", "bulk-2")
    settings = f"allow_anonymous true\nacl_file {tmp_path / 'acl'}\n"
    async with mosquitto(tmp_path, settings) as broker:
        one = held(Address.parse(broker.url, user="lyon-bulk-1"), client_id="lyon/bulk-1")
        two = held(Address.parse(broker.url, user="edged-bridge"), client_id="edged-bridge")
        three = held(Address.parse(broker.url, user="technician"), client_id="technician")
        async with one as station_link, two as bridge_link, three as hand_link:
            station, centre = await station_link.session(), await bridge_link.session()
            hand = await hand_link.session()
            site = ours.of_site
            downward = [
                ours.ack,
                ours.do("outbox", "replay"),
                ours.do("outbox", "epochs"),
                site.directory_head,
                site.directory_shard("a0"),
                site.catalogue_head,
            ]
            upward = [ours.fact("badge"), ours.blob("x"), ours.ask("directory")]
            upward += [ours.did("edged-bridge"), ours.state]
            await station.subscribe(*downward, ours.state)
            await centre.subscribe(*upward)
            for topic in downward:
                assert await centre.publish(Outgoing(topic, b"{}")) is Reason.OK, topic
                assert await station.publish(Outgoing(topic, b"{}")) is Reason.REFUSED, topic
            for topic in upward:
                assert await station.publish(Outgoing(topic, b"{}")) is Reason.OK, topic
            reached = [await anext(centre.messages()) for _ in upward]
            assert {message.topic for message in reached} == set(upward)
            for topic in (ours.health("door"), ours.value("balance")):
                assert await station.publish(Outgoing(topic, b"{}")) is Reason.NOBODY, topic
            for topic in (theirs.state, theirs.fact("badge"), theirs.ack):
                assert await station.publish(Outgoing(topic, b"{}")) is Reason.REFUSED, topic
            assert await centre.publish(Outgoing(ours.fact("badge"), b"{}")) is Reason.REFUSED
            arrived = [await anext(station.messages()) for _ in downward]
            assert {message.topic for message in arrived} == set(downward)
            seen = [ours.state, ours.health("door"), ours.did("technician")]
            await station.subscribe(ours.do("balance", "retry"))
            await hand.subscribe(*seen)
            for topic in seen:
                assert await station.publish(Outgoing(topic, b"{}")) is Reason.OK, topic
            assert await hand.publish(Outgoing(ours.do("balance", "retry"), b"{}")) is Reason.OK
            for topic in (ours.do("outbox", "replay"), ours.ack, ours.fact("badge")):
                assert await hand.publish(Outgoing(topic, b"{}")) is Reason.REFUSED, topic
            heard = [await anext(hand.messages()) for _ in seen]
            assert {message.topic for message in heard} == set(seen)
