"""A station's file: what is wrong is told all at once, in the writer's words."""

from pathlib import Path

import pytest

from devices.registry import drivers
from edged.config import load
from edged.demo.files import write_station
from mqtt.settings import ConfigError

GOOD = """
[station]
site = "demo"
name = "borne-1"

[mqtt]
url = "mqtts://broker.example.coop"

[scale.balance]
driver = "mettler-8217"
port = "/dev/serial/by-id/usb-x"

[printer.labels]
driver = "escpos"
port = "socket://192.0.2.7:9100"

[screens.scale]
scale = "balance"
printer = "labels"
"""


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "station.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    return [str(problem).removeprefix(f"{file}: ") for problem in caught.value.problems]


def test_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(GOOD)
    config = load(file)
    assert [(d.family, d.name, d.driver_name) for d in config.devices] == [
        ("scale", "balance", "mettler-8217"),
        ("printer", "labels", "escpos"),
    ]
    assert config.mqtt is not None
    assert [str(a) for a in config.mqtt.addresses(password=None)] == [
        "mqtts://broker.example.coop:8883"
    ]
    assert config.screens.scale is not None
    assert config.screens.scale.mode == "indicative"


def test_the_demo_s_file_is_good(tmp_path: Path) -> None:
    urls = {name: f"/dev/{name}" for name in ("door", "booth_reader", "balance", "labels")}
    urls["portrait"] = "http://127.0.0.1/stream"
    (tmp_path / "bridge.toml").touch()
    config = load(write_station(tmp_path, port=0, mqtt_url=None, urls=urls))
    assert len(config.devices) == 5


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        """
        [station]
        site = "Démo"
        timezone = "Europe/Pris"
        langage = "fr"

        [mqqt]
        url = "mqtt://x"

        [scale.balance]
        driver = "metler-8217"
        port = "/dev/x"

        [printer.labels]
        driver = "escpos"
        prt = "/dev/usb/lp0"

        [screens.entrance]
        reader = "dor"

        [screens.scale]
        scale = "balance"
        printer = "label"
        """,
    )

    def one(*words: str) -> str:
        found = [line for line in told if all(word in line for word in words)]
        assert len(found) == 1, (words, told)
        return found[0]

    assert one("[mqqt]", "unknown table").endswith("Did you mean 'mqtt'?")
    one("[station] site:")
    one("[station] name:", "missing")
    assert "'Europe/Paris'" in one("[station] timezone:")
    assert "'language'" in one("[station] langage:")
    assert one("[scale.balance] driver:").endswith("Did you mean 'mettler-8217'?")
    assert "'port'" in one("[printer.labels] prt:")
    one("[printer.labels] port:", "missing")
    assert "Add a table [badge_reader.dor]" in one("[screens.entrance] reader:")
    assert one("[screens.scale] printer:").endswith("Did you mean 'labels'?")
    assert len(told) == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["[station]", "missing"]),
        ("[station", ["not valid TOML"]),
        ('[station]\nsite="a"\nname="directory"', ["[station] name", "choose another"]),
        (GOOD + '[badge_reader.balance]\ndriver="rdm6300"\nport="/dev/x"', ["already used"]),
        (GOOD.replace("scale.balance", "scale.'Balance Bizerba'", 1), ["a–z"]),
        (GOOD + "[kiosk]\nport=99999", ["[kiosk] port"]),
        (GOOD.replace("mqtts://", "http://"), ["[mqtt]", "mqtt://"]),
        (GOOD.replace('url = "mqtts://broker.example.coop"', ""), ["[mqtt]", "either"]),
        (GOOD + '[bridge]\nconfig = "x"', ["[bridge]", "one-box"]),
        (GOOD.replace("[mqtt]", '[mqtt]\nvalues=["balence"]'), ["[mqtt] values", "'balance'"]),
        (GOOD.replace("[mqtt]", '[mqtt]\nvalues=["labels"]'), ["[mqtt] values", "scale"]),
        (GOOD.replace('8217"', '8217"\nunit = "lb"'), ["[scale.balance] unit", "kilograms"]),
        (GOOD + "[camera]\nx = 1", ["[camera] x", "table"]),
        ('[station]\nsite="a"\nname="b"\nscale = 3', ["[station] scale", "unknown key"]),
        (GOOD.replace('"demo"', '"Demo"'), ["[station] site", "a–z"]),
        (GOOD.replace('8217"', '8217"\nbaud = "fast"'), ["[scale.balance] baud", "integer"]),
        (GOOD.replace('driver = "escpos"\n', ""), ["labels] driver: is missing", "escpos"]),
        (GOOD.replace('"escpos"', "3"), ["labels] driver: must be a word between quotes"]),
        (GOOD.replace("[printer.labels]", "[[printer.labels]]"), ["must be", "[printer.labels]"]),
        ("scale = [1]\n" + GOOD.replace("[scale.b", "[scala.b"), ["[scale] must hold tables"]),
        (GOOD.replace("dev/serial/by-id/usb-x", "ttyUSB0").replace("/tty", "tty"), ["port: is no"]),
        (GOOD.replace(":9100", ""), ["[printer.labels] port: must name", "socket://host:9100"]),
        (
            GOOD.replace("socket://192.0.2.7:9100", "/dev/serial/by-id/usb-x"),
            ["[printer.labels] port: is already used by [scale.balance]"],
        ),
        (GOOD.replace('"mqtts://broker.example.coop"', "[]"), ["[mqtt] url: must hold"]),
        (GOOD.replace('"mqtts://broker.example.coop"', "3"), ["[mqtt] url: must be an address"]),
        (
            GOOD.replace('"mqtts://broker.example.coop"', '["mqtt://a", "http://b"]'),
            ["[mqtt] url (no. 2): a broker's address begins"],
        ),
        (GOOD.replace("[mqtt]", '[mqtt]\nroot = "coop/#"'), ["[mqtt] root", "edged/v1"]),
        (GOOD.replace("[mqtt]", '[mqtt]\ncert = "/x"'), ["[mqtt]", "needs its key"]),
        (GOOD.replace("[mqtt]", '[mqtt]\nca = "x"'), ["[mqtt] ca: write the whole path"]),
        (GOOD.replace("[mqtt]", 'timezone = "Paris"\n[mqtt]'), ["timezone", "'Europe/Paris'"]),
        (GOOD.replace("[mqtt]", 'timezone = "Mars"\n[mqtt]'), ["timezone: unknown time zone."]),
        (GOOD.replace("[mqtt]", "data = 3\n[mqtt]"), ["[station] data: must be a path"]),
        (GOOD.replace("[screens.scale]", "[screens]\nscale = 1\n[x]"), ["scale: must be a table"]),
        (GOOD.replace("[scale.balance]", "[scale]"), ["[scale] this scale has no name", "NAME]"]),
        ('site = "x"\n' + GOOD, ["toml: site: stands in no table: move it below [station]."]),
        ("watch = 1\n" + GOOD, ["toml: watch: stands in no table", "such as [station]"]),
        (GOOD.replace("socket:", "tcp:"), ["[printer.labels] port: is no path"]),
        (GOOD.replace("socket://", ""), ["[printer.labels] port: is no path"]),
        (
            GOOD + "".join(f'[camera.{x}]\ndriver="v4l2"\nport="/dev/video0"\n' for x in "ab"),
            ["[camera.b] port: is already used by [camera.a]"],
        ),
        (GOOD.replace("[mqtt]", 'data = "~/x"\n[mqtt]'), ["[station] data: write the whole path"]),
        (GOOD + "min_g = 15000", ["[screens.scale] max_g: must be more than min_g"]),
        (GOOD + "stale_h = inf", ["[screens.scale] stale_h: must be less", "found inf"]),
        (GOOD.replace('= "labels"', '= "La bels"'), ["[screens.scale] printer: a name has a–z"]),
        (
            GOOD + '[badge_reader.door]\ndriver="keyboard-wedge"\nport="ffff:35"',
            ["[badge_reader.door] port: write a path", "such as ffff:0035"],
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: list[str]) -> None:
    told = problems(tmp_path, text)
    assert any(all(word in f"toml: {line}" for word in words) for line in told), told


def test_a_keyboard_s_port_may_be_its_usb_numbers(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(GOOD + '[badge_reader.door]\ndriver="keyboard-wedge"\nport="ffff:0035"')
    assert len(load(file).devices) == 3


def test_a_table_without_a_name_is_told_once(tmp_path: Path) -> None:
    told = problems(tmp_path, GOOD.replace("[scale.balance]", "[scale]"))
    assert [line.split(":")[0] for line in told] == [
        "[scale] this scale has no name",
        "[screens.scale] scale",
    ]


def test_several_simulators_of_one_kind(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    two = "".join(
        f'[scale.{name}]\ndriver = "mettler-8217"\nport = "sim://mettler-8217"\n' for name in "ab"
    )
    file.write_text('[station]\nsite = "a"\nname = "b"\n' + two)
    assert len(load(file).devices) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="edged find"):
        load(tmp_path / "nowhere.toml")


def test_no_secret_is_shown(tmp_path: Path) -> None:
    told = problems(
        tmp_path, GOOD.replace("mqtts://", "mqtts://u:hunter2@").replace("coop", "co op")
    )
    assert told
    assert "hunter2" not in "".join(told)


def test_a_driver_whose_port_may_be_left_out_is_given_none(tmp_path, monkeypatch):
    """Its default, "", is no port that somebody wrote."""
    info = tmp_path / "portless-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: portless\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edged.scale]\nportless = portless:Portless\n")
    (tmp_path / "portless.py").write_text(
        "from pydantic import BaseModel\n"
        "class Portless:\n"
        "    class Settings(BaseModel):\n"
        "        port: str = ''\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    drivers.cache_clear()
    try:
        file = tmp_path / "station.toml"
        file.write_text(GOOD + '\n[scale.one]\ndriver = "portless"\n')
        assert [table.refused for table in load(file).devices] == [None, None, None]
        told = problems(tmp_path, GOOD + '\n[scale.one]\ndriver = "portless"\nport = ""\n')
        assert told
    finally:
        drivers.cache_clear()
