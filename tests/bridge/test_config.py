"""bridge.toml: every mistake at once, in the words of the person who writes it."""

from pathlib import Path

import pytest

from bridge.config import ConfigError, load
from bridge.main import run

GOOD = """
[mqtt]
url = "mqtts://broker.example:8883"

[[site]]
name = "cagette"
badge_key_file = "badge.key"

[site.odoo]
url = "https://erp.example.coop"
db = "coop"
login = "bridge"
password_file = "odoo"

[site.members]
domain = [["is_company", "=", false]]
stop = ["|", ["ref", "=", "X"], ["ref", "=", "Y"]]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "bridge.toml"
    file.write_text(text)
    return file


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    (site,) = config.site
    assert config.mqtt.root == "edged/v1"
    assert config.mqtt.client == "edged-bridge"
    assert config.inbox.keep_days == 90
    assert (site.odoo.wire, site.odoo.profile) == ("jsonrpc", "stock")
    assert site.members.stop[0] == "|"
    assert site.products.units == ["kg"]


def test_the_url_may_come_from_outside(tmp_path: Path) -> None:
    without = GOOD[GOOD.index("[[site]]") :]
    config = load(write(tmp_path, without), mqtt_url="mqtt://user:secret@127.0.0.1:1")
    assert config.mqtt.url == ["mqtt://user:secret@127.0.0.1:1"]


def test_several_brokers_and_one_that_is_none(tmp_path: Path) -> None:
    both = "mqtt://a, mqtts://u:s,e@b:1"
    config = load(write(tmp_path, GOOD), mqtt_url=both)
    assert [str(address) for address in config.mqtt.addresses(password=None)] == [
        "mqtt://a:1883",
        "mqtts://b:1",
    ]
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, GOOD), mqtt_url="mqtt://a,http://user:secret@b")
    assert "[mqtt] url" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_without_a_url_only_the_bridge_itself_cannot_work(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD[GOOD.index("[[site]]") :]))
    assert config.mqtt.url is None
    with pytest.raises(ValueError, match=r"\[mqtt\] url: is missing"):
        await run(config)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("login", "logine")
        .replace('name = "cagette"', 'name = "La Cagette"')
        .replace('["is_company", "=", false]', '["is_company", "="]')
        .replace("[mqtt]", "[mqtt]\nversion = 5\npasword_file = 'x'")
        .replace('password_file = "odoo"', 'password_file = "odoo"\nprofile = "stok"')
        + "\n[site.product]\n"
    )
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    told = str(caught.value)
    assert f"{file}: [mqtt] pasword_file: unknown key. Did you mean 'password_file'?" in told
    assert "[mqtt] version: must be '5' or '3.1.1' (found 5)." in told
    assert "[site.odoo] (no. 1) logine: unknown key. Did you mean 'login'?" in told
    assert "[site.odoo] (no. 1) login: is missing, and there is no default." in told
    assert "[site.odoo] (no. 1) profile: no such profile. Did you mean 'stock'?" in told
    assert "[[site]] (no. 1) name: " in told
    assert "[[site]] (no. 1) product: unknown key. Did you mean 'products'?" in told
    assert "[site.members] (no. 1) domain: an Odoo domain is a list" in told
    assert len(caught.value.problems) == 8


@pytest.mark.parametrize(
    "domain",
    [
        '["|", ["ref", "=", "X"]]',
        '[["ref", "=", "X"], "|", ["ref", "=", "Y"]]',
        '["&", "|", ["ref", "=", "X"], ["ref", "=", "Y"]]',
        '[["ref", "=", "X"], "!"]',
    ],
)
def test_a_domain_that_would_take_a_term_of_its_neighbours(tmp_path: Path, domain: str) -> None:
    """`["|", A]` before another domain B would mean A or B: everybody a member."""
    text = GOOD.replace('[["is_company", "=", false]]', domain)
    with pytest.raises(ConfigError, match=r"\[site\.members\] \(no\. 1\) domain: .* two terms"):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    "domain",
    [
        "[]",
        '["!", ["ref", "=", "X"], ["ref", "=", "Y"]]',
        '["|", "!", ["ref", "=", "X"], "&", ["ref", "=", "Y"], ["id", "in", [1]], ["id", "=", 2]]',
    ],
)
def test_domains_that_are_whole(tmp_path: Path, domain: str) -> None:
    load(write(tmp_path, GOOD.replace('[["is_company", "=", false]]', domain)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mqtt", "is not valid TOML"),
        ("", "site: is missing"),
        (GOOD + GOOD[GOOD.index("[[site]]") :], "'cagette' is there more than once"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("odoo.example.coop", "looks like https://"),
        ("ftp://odoo", "looks like https://"),
        ("https://", "looks like https://"),
        ("https://odoo:99999", "looks like https://"),
        ("https://[::1", "looks like https://"),
        ("https://odoo .coop", "looks like https://"),
        ("https://u:hunter2@odoo", "no user and no password"),
        ("https://odoo.example.coop/web", "without a path"),
        ("https://odoo.example.coop?db=coop", "without a path"),
    ],
)
def test_addresses_of_no_odoo(tmp_path: Path, url: str, said: str) -> None:
    text = GOOD.replace("https://erp.example.coop", url)
    with pytest.raises(ConfigError, match=rf"\[site\.odoo\] \(no\. 1\) url: .*{said}") as caught:
        load(write(tmp_path, text))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["HTTPS://odoo.coop/", "http://127.0.0.1:8069", "http://[::1]:1"])
def test_addresses_of_an_odoo(tmp_path: Path, url: str) -> None:
    load(write(tmp_path, GOOD.replace("https://erp.example.coop", url)))


def test_an_authority_is_for_an_odoo_with_tls(tmp_path: Path) -> None:
    text = GOOD.replace("[site.odoo]", '[site.odoo]\nca = "/etc/edged/ca.crt"')
    assert load(write(tmp_path, text)).site[0].odoo.ca == Path("/etc/edged/ca.crt")
    plain = text.replace("https://erp", "http://erp")
    with pytest.raises(ConfigError, match=r"\[site\.odoo\] \(no\. 1\) ca: is for https:"):
        load(write(tmp_path, plain))


@pytest.mark.parametrize("line", ['folder = "inbox"', "keep_days = 99999999999"])
def test_an_inbox_that_cannot_be(tmp_path: Path, line: str) -> None:
    with pytest.raises(
        ConfigError, match=r"\[inbox\] (folder: write the whole|keep_days: must be)"
    ):
        load(write(tmp_path, f"{GOOD}\n[inbox]\n{line}"))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml")
