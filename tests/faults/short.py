"""A scenario as the tests try it: once, short, and the same each time."""

from pathlib import Path

import pytest
from faults.scenarios import Scenario
from faults.shop import CannotTry


async def keeps_every_badge(folder: Path, scenario: Scenario) -> None:
    """No badge is lost, doubled or somebody else's, and some were tried."""
    try:
        verdict = await scenario.run(folder, seed=1, count=scenario.short)
    except CannotTry as why:
        pytest.skip(str(why))
    assert verdict.clean, verdict
    assert verdict.tried
