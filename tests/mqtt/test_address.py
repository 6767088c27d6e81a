"""Brokers' addresses: what is understood, what is refused, and what is never shown."""

from pathlib import Path

import pytest

from mqtt.link import Address, Incoming, Outgoing, Reason, Tls, pause


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", Address("broker", 1883)),
        ("mqtt://broker/", Address("broker", 1883)),
        ("mqtt://10.0.0.7:1234", Address("10.0.0.7", 1234)),
        ("mqtt://[::1]:1884", Address("::1", 1884)),
        ("mqtts://broker.coop", Address("broker.coop", 8883, tls=Tls())),
        ("mqtt://me@broker", Address("broker", 1883, user="me")),
        ("mqtt://me:p%40ss%3A@broker", Address("broker", 1883, user="me", password="p@ss:")),
    ],
)
def test_addresses(url: str, expected: Address) -> None:
    assert Address.parse(url) == expected


def test_what_is_given_beside_the_url_goes_first() -> None:
    address = Address.parse("mqtt://a:b@broker", user="me", password="secret")
    assert (address.user, address.password) == ("me", "secret")


def test_certificates() -> None:
    ca, cert, key = Path("ca"), Path("cert"), Path("key")
    assert Address.parse("mqtts://b", ca=ca, cert=cert, key=key).tls == Tls(ca, cert, key)
    with pytest.raises(ValueError, match="key"):
        Address.parse("mqtts://b", cert=cert)
    with pytest.raises(ValueError, match="mqtts://"):
        Address.parse("mqtt://b", ca=ca)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "broker:1883",
        "http://broker",
        "tcp://broker",
        "mqtt://",
        "mqtt://:hush@",
        "mqtt://me:hush@broker:0",
        "mqtt://me:hush@broker:99999",
        "mqtt://me:hush@broker:port",
        "mqtt://me:hush@broker/path",
        "mqtt://me:hush@broker?x=1",
        "mqtt://me:hush@bro ker",
        "mqtt://me:hush@broké",
        "mqtt://me:hush@[::1",
        "mqtt://me:hush@broker\u2100",
    ],
)
def test_what_is_refused_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        Address.parse(url)
    assert "hush" not in str(refused.value)
    assert str(refused.value).startswith(("A ", "Certificates"))


def test_passwords_and_payloads_are_not_shown() -> None:
    address = Address("broker", 8883, tls=Tls(), user="me", password="hush")
    assert "hush" not in repr(address)
    assert str(address) == "mqtts://broker:8883"
    assert str(Address("::1", 1883)) == "mqtt://[::1]:1883"
    assert "hush" not in repr(Outgoing("a", b"hush"))
    assert "hush" not in repr(Incoming("a", b"hush"))


def test_any_byte_is_a_reason() -> None:
    assert Reason(0x97) is Reason.QUOTA
    assert Reason(0xA7).name == "0xA7"
    assert Reason(0xA7).failed
    assert not Reason(0x10).failed
    with pytest.raises(ValueError):
        Reason(256)


def test_pauses_grow_to_a_minute_and_are_spread() -> None:
    for failures, ceiling in [(0, 1), (1, 2), (3, 8), (6, 60), (1000, 60)]:
        pauses = [pause(failures) for _ in range(300)]
        assert 0 <= min(pauses) < ceiling * 0.1
        assert ceiling * 0.9 < max(pauses) <= ceiling
    assert all(30 <= pause(0, longest=True) <= 60 for _ in range(300))
