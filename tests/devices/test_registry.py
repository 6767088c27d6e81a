"""Drivers by name: lazy, forgiving of typing mistakes, and never fatal."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from pydantic import BaseModel

from devices import Device, Refused, registry
from devices.registry import drivers, load_driver, nearest

FAMILIES = ("badge_reader", "scale", "printer", "camera")


def pretend(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    point = EntryPoint("odd", value, "edged.scale")
    monkeypatch.setattr(registry, "drivers", lambda _family: {"odd": [point]})


@pytest.mark.parametrize("family", FAMILIES)
def test_our_own_drivers_come_through_the_same_door(family):
    assert drivers(family)
    for name in drivers(family):
        try:
            driver = load_driver(family, name)
        except Refused as refused:
            # picamera2 is only on a Raspberry Pi.
            assert refused.key == "device.missing_library"  # noqa: PT017
            continue
        assert issubclass(driver, Device)
        assert issubclass(driver.Settings, BaseModel)
        assert driver.Settings.model_config.get("extra") == "forbid"


@pytest.mark.parametrize("name", sorted(drivers("protocol")))
def test_every_decoder_loads_and_answers_nonsense_with_a_kind_or_a_sentence(name):
    decode = registry.load_decoder(name)
    for nonsense in ({}, {"input": "nonsense"}, {"hex": "0"}, {"hex": "zz"}, {"response": "7"}):
        try:
            answer = decode(nonsense)
        except ValueError as error:
            assert " " in str(error)  # noqa: PT017
        else:
            assert isinstance(answer["kind"], str)


@pytest.mark.parametrize("name", sorted(drivers("simulator")))
def test_every_simulator_loads(name):
    simulator = registry.load_simulator(name)
    assert isinstance(simulator, type)


def test_names_are_known_without_importing_anything():
    program = (
        "import sys; from devices.registry import drivers;"
        "assert {'escpos'} <= set(drivers('printer'));"
        "heavy = {'PIL', 'escpos', 'evdev', 'serial', 'printer', 'scale', 'camera'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_mistyped_driver_is_refused_with_the_nearest_name():
    with pytest.raises(Refused) as refused:
        load_driver("scale", "Metler-8217")
    assert refused.value.key == "device.unknown_driver"
    assert refused.value.params == {"driver": "Metler-8217", "nearest": "mettler-8217"}
    with pytest.raises(Refused) as refused:
        load_driver("scale", "zzz")
    assert refused.value.params["nearest"] == ""


def test_a_missing_library_is_named(monkeypatch):
    pretend(monkeypatch, "no_such_library:Driver")
    with pytest.raises(Refused) as refused:
        load_driver("scale", "odd")
    assert refused.value.key == "device.missing_library"
    assert refused.value.params == {"driver": "odd", "library": "no_such_library"}


def test_a_driver_that_breaks_while_it_loads_is_refused_with_the_reason(monkeypatch, tmp_path):
    (tmp_path / "broken_driver.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    for value, why in [
        ("broken_driver:Driver", "ZeroDivisionError: division by zero"),
        ("devices.ean:NoSuchClass", "AttributeError"),
    ]:
        pretend(monkeypatch, value)
        with pytest.raises(Refused) as refused:
            load_driver("scale", "odd")
        assert refused.value.key == "device.driver_broken"
        assert why in refused.value.params["why"]


def test_nearest():
    assert nearest("prot", ["port", "baud"]) == "port"
    assert nearest("PORT", ["port"]) == "port"
    assert nearest("x", []) == ""


def test_a_name_of_ours_is_nobody_elses_and_one_that_two_have_is_refused_with_both(
    monkeypatch, tmp_path
):
    (tmp_path / "theirs.py").write_text("raise SystemExit('loaded by mistake')")
    for distribution in ("first", "second"):
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        names = "\n".join(f"{name} = theirs:Scale" for name in ("mettler-8217", "twice"))
        (info / "entry_points.txt").write_text(f"[edged.scale]\n{names}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    drivers.cache_clear()
    try:
        assert load_driver("scale", "mettler-8217").__module__.startswith("scale.")
        with pytest.raises(Refused) as refused:
            load_driver("scale", "twice")
    finally:
        drivers.cache_clear()
    assert refused.value.key == "device.driver_broken"
    assert "first, second" in refused.value.params["why"]
