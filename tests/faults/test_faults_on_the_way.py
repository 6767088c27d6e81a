"""The promises between stations and Odoo, broken from outside: short runs of `make torture`."""

from pathlib import Path

import pytest
from faults.scenarios import THE_WAY, Scenario
from faults.short import keeps_every_badge


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", THE_WAY, ids=lambda scenario: scenario.name)
async def test_no_badge_is_lost_doubled_or_somebody_elses(
    tmp_path: Path, scenario: Scenario
) -> None:
    await keeps_every_badge(tmp_path, scenario)
