"""What the units allow and forbid, where the program depends on it."""

from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"

HOLD_THE_CLOCK = {"@clock", "@privileged", "adjtimex", "clock_adjtime"}
"""Names under which systemd knows the calls that ask (and set) the clock: `systemd-analyze
syscall-filter`."""


def values(unit: str, key: str) -> list[str]:
    lines = (UNITS / unit).read_text("utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


def test_the_station_may_ask_whether_its_clock_is_right() -> None:
    """Else the kernel's answer is EPERM, every fact is `unsynced`, and none is ever dated."""
    assert values("edged.service", "ProtectClock") == []
    allowed = False
    for words in values("edged.service", "SystemCallFilter"):
        if HOLD_THE_CLOCK & set(words.removeprefix("~").split()):
            allowed = not words.startswith("~")
    assert allowed
    # What makes that harmless.
    assert values("edged.service", "CapabilityBoundingSet") == [""]
    assert values("edged.service", "AmbientCapabilities") == [""]


@pytest.mark.parametrize("unit", ["edged.service", "edged-bridge.service"])
def test_a_mistake_in_the_file_is_not_tried_again(unit: str) -> None:
    from edged.cli import MISUSED

    assert str(MISUSED) in values(unit, "RestartPreventExitStatus")[0].split()


@pytest.mark.parametrize("user", ["edged", "edged-bridge"])
def test_a_services_home_is_the_folder_that_it_keeps_its_files_in(user: str) -> None:
    """Root that finds it missing knows by that whose it is (`durable.owner`)."""
    words = [line.split() for line in (UNITS / "edged-sysusers.conf").read_text().splitlines()]
    (home,) = [line[-1] for line in words if line[:2] == ["u", user]]
    assert f"d {home} 0700 {user} {user} -" in (UNITS / "edged-tmpfiles.conf").read_text()
    assert f"/var/lib/{values(f'{user}.service', 'StateDirectory')[0]}" == home
