"""Drivers of other distributions, in a station's process: whatever they do, the others go on."""

from pathlib import Path

import pytest
from support.broker import Mosquitto, mosquitto
from support.daemons import STATION, Daemon, edged, station
from support.hands import Hands
from support.strangers import installed

STATION_WITH = """
[mqtt]
url = "{url}"
values = {values}
[badge_reader.porte]
driver = "rdm6300"
port = "sim://rdm6300"
[scale.balance]
driver = "mettler-8217"
port = "sim://mettler-8217?load=482"
[printer.etiquettes]
driver = "escpos"
port = "sim://escpos"
[{family}.stranger]
driver = "{driver}"
[screens.entrance]
reader = "{reader}"
[screens.scale]
scale = "{scale}"
printer = "{printer}"
"""

BROKEN = [
    "Raises", "Exits", "RaisesMutely", "TakesNothing", "NoSettings", "OddSettings", "BadValidator",
    "ExitingValidator", "OddPort", "OddUnit", "Half", "Abstract", "makes_none", "OtherFamily",
    "OtherName", "ExitsAtImport", "Absentee", "RunsNoCoroutine",
    "OddHealth", "OddState", "OddStateWord", "OddRetry", "Renames", "OddReading", "OddWeight",
    "EndlessWeight", "HugeWeight", "OddMoment", "OddBadge", "HalfBadge", "NoneBadge", "OddPaper",
    "OddFrame", "PluggedIsNone",
]  # fmt: skip
"""Nothing but another driver helps: refused, with the reason."""
DOWN = {
    "RunExitsBefore": ("failing", "device.bug"),
    "OddParams": ("failing", "device.silent"),
    "OddKey": ("failing", "5"),
    "MuteKey": ("failing", "device.bug"),
    "LongWords": ("failing", "device.bug x"),
    "RaisesWeird": ("failing", "device.bug"),
    "RaisesInterrupt": ("failing", "device.bug"),
    "RunRaisesMutely": ("failing", "device.bug"),
    "RaisesGroups": ("failing", "device.bug"),
    "IdleRaises": ("absent", "device.unplugged"),
    "PluggedRaises": ("absent", "device.unplugged"),
    "NodeRaises": ("failing", "device.silent"),
    "OwnWords": ("refused", "device.bug"),
    "OwnParams": ("refused", "5"),
}
"""What it says counts, as far as it can be said; what it does not say is a bug, and may pass."""
WORKING = [
    "Base", "ClassHealth", "TaskRaises", "TaskExits", "CallbackExits", "ThreadRaises", "TareExits",
]  # fmt: skip
"""What they do wrong is beside their work, which goes on."""


def tables(driver: str, broker: Mosquitto) -> str:
    """A station that needs the stranger wherever its family is needed."""
    family = "scale"
    for word, name in (("Badge", "badge_reader"), ("Paper", "printer"), ("Frame", "camera")):
        family = name if word in driver else family
    ours = {"badge_reader": "porte", "scale": "balance", "printer": "etiquettes", "camera": ""}
    named = ours | {family: "stranger"}
    return STATION_WITH.format(
        url=broker.url,
        family=family,
        driver=driver,
        values=[named["scale"]],
        reader=named["badge_reader"],
        scale=named["scale"],
        printer=named["printer"],
    ).replace("'", '"')


BUG = "stranger: bug in its driver"


async def unharmed(daemon: Daemon) -> None:
    """The others, the link and the screens work."""
    for name in ("porte", "balance", "etiquettes"):
        await daemon.device_is(name, "up")
    await daemon.link_is_up()
    async with Hands.client() as client:
        for page in ("entrance", "scale", "status"):
            assert (await client.get(f"{daemon.url}/{page}")).status_code == 200
    assert await daemon.end() == 0


@pytest.mark.parametrize("driver", BROKEN)
async def test_a_driver_that_cannot_work_is_refused_with_its_reason(
    driver: str, tmp_path: Path
) -> None:
    variables = installed(tmp_path / "site")
    async with (
        mosquitto(tmp_path / "broker") as broker,
        station(tmp_path, tables(driver, broker), **variables) as daemon,
    ):
        await daemon.ready()
        refused = await daemon.device_is("stranger", "refused")
        assert refused["key"] == "device.driver_broken"
        assert len(refused["sentence"]) > len("The driver  does not work: ")
        await unharmed(daemon)


@pytest.mark.parametrize("driver", DOWN)
async def test_a_driver_that_raises_nonsense_is_down_and_nothing_else(
    driver: str, tmp_path: Path
) -> None:
    variables = installed(tmp_path / "site")
    async with (
        mosquitto(tmp_path / "broker") as broker,
        station(tmp_path, tables(driver, broker), **variables) as daemon,
    ):
        await daemon.ready()
        state, key = DOWN[driver]
        told = await daemon.device_is("stranger", state)
        assert told["key"][:12] == key[:12]
        assert len(told["sentence"]) < 2000
        assert told["latest"] == ""  # no weight of a scale that is not there
        await unharmed(daemon)


@pytest.mark.parametrize("driver", WORKING)
async def test_what_a_driver_leaves_behind_harms_nobody(driver: str, tmp_path: Path) -> None:
    variables = installed(tmp_path / "site")
    async with (
        mosquitto(tmp_path / "broker") as broker,
        station(tmp_path, tables(driver, broker), **variables) as daemon,
    ):
        await daemon.ready()
        up = await daemon.device_is("stranger", "up")
        assert up["latest"]
        if driver in ("TaskExits", "CallbackExits") and BUG not in daemon.words:
            await daemon.says(BUG)
        await unharmed(daemon)


async def test_what_it_wraps_in_its_own_errors_reaches_no_log_at_length(tmp_path: Path) -> None:
    variables = installed(tmp_path / "site")
    async with (
        mosquitto(tmp_path / "broker") as broker,
        station(tmp_path, tables("LongWords", broker), **variables) as daemon,
    ):
        await daemon.says("stranger: failing")
        assert len(daemon.words) < 20_000


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        ("Exits", "✖ scale stranger (Exits at ): refused: The driver Exits does not work: Syst"),
        ("BadValidator", "✖ scale stranger (BadValidator at ): refused: The driver BadValidator"),
        ("RunExitsBefore", "✖ scale stranger (RunExitsBefore at ): failing: "),
        ("TaskExits", "✔ scale stranger"),
    ],
)
async def test_check_and_try_tell_of_the_stranger_and_ask_the_others(
    driver: str, told: str, tmp_path: Path
) -> None:
    variables = installed(tmp_path / "site")
    async with mosquitto(tmp_path / "broker") as broker:
        file = tmp_path / "station.toml"
        content = STATION.format(data=tmp_path / "data", port=0) + tables(driver, broker)
        file.write_text(content.replace("[station]", '[station]\nlanguage = "en"'))
        status, out, _ = await edged("check", "-c", file, **variables)
        assert status == (0 if told[0] == "✔" else 3)
        assert told in out
        assert "✔ scale balance" in out
        status, out, _ = await edged(
            "try", "-c", file, "scale", "stranger", "--seconds", "2", **variables
        )
        assert status == (0 if told[0] == "✔" else 3)
        assert "stranger: " in out


async def test_find_lists_what_is_plugged_in_beside_them(tmp_path: Path) -> None:
    status, _, err = await edged("find", **installed(tmp_path / "site"))
    assert (status, err) == (0, "")


@pytest.mark.parametrize("name", ["decodes-nothing", "exits-decoding", "fails-decoding"])
async def test_a_broken_decoder_answers_with_a_sentence(name: str, tmp_path: Path) -> None:
    status, out, err = await edged("decode", name, "--hex", "02", **installed(tmp_path / "site"))
    assert (status, out) == (2, "")
    assert err.startswith(f"edged decode: {name}")
    assert "Traceback" not in err


@pytest.mark.parametrize(("name", "state"), [("broken", "refused"), ("exiting", "failing")])
async def test_a_broken_simulator_is_its_own_devices_trouble(
    name: str, state: str, tmp_path: Path
) -> None:
    more = f"""
[scale.balance]
driver = "mettler-8217"
port = "sim://mettler-8217?load=482"
[scale.other]
driver = "mettler-8217"
port = "sim://{name}"
"""
    async with station(tmp_path, more, **installed(tmp_path / "site")) as daemon:
        await daemon.ready()
        await daemon.device_is("other", state)
        await daemon.device_is("balance", "up")
        assert await daemon.end() == 0
