"""The promises of one station, broken from outside: short runs of what `make torture` does."""

from pathlib import Path

import pytest
from faults.scenarios import STATIONS, Scenario
from faults.shop import CannotTry


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", STATIONS, ids=lambda scenario: scenario.name)
async def test_no_badge_is_lost_doubled_or_somebody_elses(
    tmp_path: Path, scenario: Scenario
) -> None:
    try:
        verdict = await scenario.run(tmp_path, seed=1, count=scenario.short)
    except CannotTry as why:
        pytest.skip(str(why))
    assert verdict.clean, verdict
    assert verdict.tried
