"""What systemd does when a service ends: a mistake that needs a person is not tried again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.kernel import wait_for
from support.units import changed, shows, systemctl

UNITS = ("edged", "edged-bridge")
CALM = "WatchdogSec=0\nType=exec\n"


def has_ended(unit: str) -> bool:
    return shows(unit, "ActiveState") == "failed"


@contextmanager
def without_its_file(file: Path) -> Iterator[None]:
    aside = file.with_name("aside")
    if file.exists():
        file.rename(aside)
    yield
    if aside.exists():
        aside.rename(file)


@pytest.mark.parametrize(("unit", "name"), [("edged", "station"), ("edged-bridge", "bridge")])
def test_a_mistake_ends_the_service_with_2_and_it_stays_ended(unit: str, name: str) -> None:
    with without_its_file(Path(f"/etc/edged/{name}.toml")), changed(f"{unit}.service", CALM):
        systemctl("start", "--no-block", unit)
        wait_for(lambda: has_ended(unit), 120)
        assert shows(unit, "ExecMainStatus") == "2"
        assert _stays_ended(unit)


@pytest.mark.parametrize("unit", UNITS)
def test_a_credential_that_is_missing_ends_the_service_and_it_stays_ended(unit: str) -> None:
    words = f"{CALM}LoadCredential=mqtt.password:/etc/edged/secrets/none"
    with changed(f"{unit}.service", words):
        systemctl("start", "--no-block", unit)
        wait_for(lambda: has_ended(unit), 120)
        assert shows(unit, "ExecMainStatus") == "243"
        assert _stays_ended(unit)


@pytest.mark.parametrize("unit", UNITS)
def test_what_may_heal_by_itself_is_tried_again(unit: str) -> None:
    with changed(f"{unit}.service", f"{CALM}RestartSec=1\nExecStart=\nExecStart=/bin/false"):
        systemctl("start", "--no-block", unit)
        wait_for(lambda: int(shows(unit, "NRestarts")) >= 3, 120)


def _stays_ended(unit: str) -> bool:
    """For longer than the longest first pause (RestartSec=5)."""
    time.sleep(8)
    return has_ended(unit) and shows(unit, "NRestarts") == "0"
