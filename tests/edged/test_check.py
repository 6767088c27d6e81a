"""`edged check`: every device asked, every file that is named looked at, and nothing changed."""

from pathlib import Path

import pytest
from support.daemons import edged
from support.root import needs_root
from support.stores import opened

from edged.demo.workbench import Workbench


@pytest.mark.parametrize(
    "command", [("check",), ("try", "scale", "balance"), ("try", "badge_reader", "door")]
)
async def test_devices_of_a_station_that_runs_are_left_to_it(
    station: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    async with opened(tmp_path / "data"):
        status, _, err = await edged(*command, "-c", station)
        assert status == 2
        assert err == f"edged {command[0]}: the station is running: stop it first\n"
        assert (await edged("check", "--offline", "-c", station))[0] == 0
    assert (await edged("check", "-c", station))[0] == 0


@needs_root
async def test_a_file_that_only_the_services_user_may_read(station: Path) -> None:
    station.chmod(0o640)
    program = "import os, sys, mqtt.settings, edged.config, edged.commands.check, edged.cli\n"
    program += "os.setresuid(65534, 65534, 65534)\nedged.cli.main(sys.argv[1:])"
    status, _, err = await edged("check", "-c", station, python=("-c", program))
    assert status == 2
    assert "Permission denied. Run this as the service's user: sudo -u edged edged check" in err


async def test_check_asks_every_device(station: Path) -> None:
    status, out, err = await edged("check", "-c", station)
    assert (status, err) == (0, "")
    first, *lines = out.splitlines()
    assert first.endswith("understood; 4 devices")
    assert [line.split(" (")[0] for line in lines] == [
        "✔ badge_reader door",
        "✔ scale balance",
        "✔ printer labels",
        "✔ camera portrait",
    ]


async def test_check_says_which_does_not_answer_and_why(station: Path, bench: Workbench) -> None:
    await bench.act("balance", "silent")
    await bench.act("door", "unplug")
    await bench.act("labels", "paper-out")
    status, out, _ = await edged("check", "-c", station)
    assert status == 3
    told = {line.split()[2]: line for line in out.splitlines()[1:]}
    assert "device.silent" in told["balance"]
    assert "device.unplugged" in told["door"]
    assert told["labels"].startswith("▲")
    assert "printer.paper_out" in told["labels"]
    assert told["portrait"].startswith("✔")


async def test_check_offline_opens_nothing(station: Path, bench: Workbench) -> None:
    await bench.act("balance", "unplug")
    status, out, _ = await edged("check", "--offline", "-c", station)
    assert status == 0
    assert len(out.splitlines()) == 1


async def test_check_reads_secrets_and_never_shows_them(station: Path, tmp_path: Path) -> None:
    key = tmp_path / "badge.key"
    key.write_text("not a key but a secret")
    text = station.read_text().replace("[station]", f'[station]\nbadge_key_file = "{key}"')
    text += f'[mqtt]\nurl = "mqtt://x"\npassword_file = "{tmp_path / "none"}"\n'
    station.write_text(text)
    status, out, err = await edged("check", "--offline", "-c", station)
    assert status == 3
    assert "[station] badge_key_file" in err
    assert "can be read by everybody" in err
    assert "[mqtt] password_file" in err
    assert "no such file" in err
    assert "not a key" not in out + err


@pytest.mark.parametrize(
    ("present", "words"),
    [
        ((), ["[mqtt] key: ", "[mqtt] ca: ", "no such file"]),
        (
            ("ca", "cert", "key"),
            [f"[mqtt] {key}: " for key in ("ca", "cert", "key")] + ["holds no certificate in PEM"],
        ),
    ],
)
async def test_check_looks_at_certificates(
    station: Path, tmp_path: Path, present: tuple[str, ...], words: list[str]
) -> None:
    text = station.read_text() + '[mqtt]\nurl = "mqtts://x"\n'
    for name in ("ca", "cert", "key"):
        text += f'{name} = "{tmp_path / name}"\n'
    for name in present:
        (tmp_path / name).write_text("no certificate")
        (tmp_path / name).chmod(0o600)
    station.write_text(text)
    status, _, err = await edged("check", "--offline", "-c", station)
    assert status == 3
    assert all(word in err for word in words), err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("mqtts://x:1883", "Write mqtt://, or port 8883."),
        ("mqtt://x:8883", "Write mqtts://, or port 1883."),
    ],
)
async def test_check_says_that_port_and_scheme_disagree(
    station: Path, url: str, advice: str
) -> None:
    station.write_text(station.read_text() + f'[mqtt]\nurl = "{url}"\n')
    status, out, err = await edged("check", "--offline", "-c", station)
    assert (status, out) == (3, "")
    assert err.startswith(f"{station}: [mqtt] url: {url}: ")
    assert err.endswith(f"{advice}\n")


@pytest.mark.parametrize("key", ["password_file", "ca"])
async def test_check_may_not_even_look(station: Path, tmp_path: Path, key: str) -> None:
    """As in a folder of another user; root may look everywhere, but not at so long a name."""
    text = f'[mqtt]\nurl = "mqtts://x"\n{key} = "{tmp_path / ("x" * 300)}"\n'
    station.write_text(station.read_text() + text)
    status, _, err = await edged("check", "--offline", "-c", station)
    assert status == 3
    assert f"[mqtt] {key}: " in err
    assert "cannot be read: File name too long" in err


async def test_check_reads_the_bridge_s_file_of_a_one_box_shop(tmp_path: Path) -> None:
    from edged.demo.files import write_bridge, write_station

    urls = {name: f"/dev/{name}" for name in ("door", "booth_reader", "balance", "labels")}
    urls["portrait"] = "http://127.0.0.1/stream"
    file = write_station(tmp_path, port=0, mqtt_url=None, urls=urls)
    (tmp_path / "badge.key").write_text("ab" * 32)
    (tmp_path / "badge.key").chmod(0o600)
    status, _, err = await edged("check", "--offline", "-c", file)
    assert (status, err) == (2, f"{tmp_path}/bridge.toml: no such file.\n")
    written = write_bridge(tmp_path, odoo_url="https://127.0.0.1:1", password="x")
    assert (await edged("check", "--offline", "-c", file))[::2] == (0, "")
    text = written.read_text().replace("[site.odoo]", '[site.odoo]\nca = "/no/ca.crt"')
    written.write_text(text)
    status, out, err = await edged("check", "--offline", "-c", file)
    assert (status, out) == (3, "")
    assert err.startswith(f"{written}: [site.odoo] (no. 1) ca: /no/ca.crt: no such file.")
