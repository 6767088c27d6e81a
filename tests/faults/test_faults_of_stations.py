"""The promises of one station, broken from outside: short runs of what `make torture` does."""

from pathlib import Path

import pytest
from faults.scenarios import STATIONS, Scenario
from faults.short import keeps_every_badge


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", STATIONS, ids=lambda scenario: scenario.name)
async def test_no_badge_is_lost_doubled_or_somebody_elses(
    tmp_path: Path, scenario: Scenario
) -> None:
    await keeps_every_badge(tmp_path, scenario)
