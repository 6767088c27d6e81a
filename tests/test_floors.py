"""The house stands on floors: who may import whom, what a start costs, and whose names they are."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from support.source import parsed

ROOT = Path(__file__).parents[1]

FAMILIES = ("badge_reader", "scale", "printer", "camera")
MAY_IMPORT = {
    "devices": set(),
    "durable": set(),
    **{family: {"devices"} for family in FAMILIES},
    "mqtt": {"devices", "durable"},
    "store": {"devices", "durable", "mqtt"},
    "kiosk": {"devices", "durable", *FAMILIES, "mqtt", "store"},
    "bridge": {"devices", "durable", "mqtt"},
    "edged": {"devices", "durable", *FAMILIES, "mqtt", "store", "kiosk", "bridge"},
}

DRIVERS = {
    "badge_reader": {"rdm6300", "scanner", "wedge", "simulate"},
    "scale": {"toledo", "toledo_wire", "simulate"},
    "printer": {"escpos", "encode", "language", "simulate", "spool"},
    "camera": {"v4l2", "pi", "mjpeg", "simulate"},
}
"""Modules of the families that only entry points may reach: the screens know protocols."""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_floor_stands_on_the_ones_below(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    forbidden = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imports(path)
        if name.split(".")[0] in MAY_IMPORT.keys() - allowed
    }
    assert modules(package)
    assert not forbidden


def test_screens_know_families_and_never_drivers() -> None:
    named = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("kiosk")
        for name in imports(path)
        for family, drivers in DRIVERS.items()
        if name.split(".")[0] == family and set(name.split(".")[1:2]) & drivers
    }
    assert not named


def test_the_bridge_shares_only_words_with_the_stations() -> None:
    """It stands on mqtt; of devices it may use `Value` and nothing that opens anything."""
    used = {
        name
        for path in modules("bridge")
        for name in imports(path)
        if name.split(".")[0] == "devices" and "." in name
    }
    assert used <= {"devices.Value", "devices.value", "devices.value.Value", "devices.ean"} | {
        name for name in used if name.startswith("devices.ean.")
    }


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(output.stdout.split())


HEAVY = {"starlette", "uvicorn", "PIL", "cv2", "picamera2", "escpos", "evdev", "paho", "httpx2"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import edged.cli", HEAVY | {"pydantic", "asyncio", "serial"}),
        ("import devices, badge_reader, scale, printer, camera", HEAVY | {"serial"}),
        ("import mqtt.messages, mqtt.topics", HEAVY),
        ("import durable, store", HEAVY),
    ],
)
def test_what_an_import_does_not_cost(statement: str, absent: set[str]) -> None:
    loaded = loaded_by(statement)
    assert "sys" in loaded
    assert not {name for name in loaded if name.split(".")[0] in absent}


def test_nothing_installed_brings_a_package_of_our_names() -> None:
    owners = packages_distributions()
    for package in MAY_IMPORT:
        assert set(owners.get(package, ["edged"])) == {"edged"}, package


@pytest.mark.parametrize("folder", ["systemd", "tests"])
def test_folders_that_are_not_packages(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
