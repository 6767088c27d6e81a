"""Break the promises for as long as it is given, and tell what was lost: ``make torture``.

The one rule: it ends with a table, and with failure when a row of it has anything lost, doubled,
disordered or given to somebody else, or when a scenario did not come to its end.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from faults.judge import NOTHING, Verdict
from faults.scenarios import STATIONS, THE_WAY, Scenario
from faults.shop import CannotTry

SCENARIOS = (*THE_WAY, *STATIONS)
HEAD = f"{'':34}{'runs':>8}{'tried':>8}{'lost':>7}{'doubled':>9}{'order':>7}{'wrong':>7}{'told':>7}"


@dataclass(slots=True)
class Row:
    """What has become of a scenario so far. `failures`: runs that did not come to their end."""

    scenario: Scenario
    done: int = 0
    verdict: Verdict = NOTHING
    failures: list[str] = field(default_factory=list)
    not_here: str = ""
    """Why it cannot be tried on this machine."""

    @property
    def clean(self) -> bool:
        return self.verdict.clean and not self.failures

    @property
    def over(self) -> bool:
        return bool(self.not_here) or self.done >= self.scenario.runs

    def __str__(self) -> str:
        if self.not_here:
            return f"{self.scenario.name:34}  {self.not_here}"
        v, runs = self.verdict, f"{self.done}/{self.scenario.runs}"
        numbers = f"{v.tried:8}{v.lost:7}{v.doubled:9}{v.disordered:7}{v.wrong:7}{v.told:7}"
        failed = f"  {len(self.failures)} failed" if self.failures else ""
        return f"{self.scenario.name:34}{runs:>8}{numbers}{failed}"


async def run_once(row: Row, seed: int) -> None:
    scenario = row.scenario
    with TemporaryDirectory(prefix="faults-") as folder:
        try:
            verdict = await scenario.run(Path(folder), seed, scenario.long)
        except CannotTry as why:
            row.not_here = str(why)
            return
        except Exception as error:
            row.failures.append(f"{scenario.name}, seed {seed}: {type(error).__name__}: {error}")
        else:
            row.verdict += verdict
    row.done += 1


async def torture(scenarios: Sequence[Scenario], seed: int, seconds: float) -> list[Row]:
    """Each in turn, so that all have been tried when the time is over."""
    over = time.monotonic() + seconds
    rows = [Row(scenario) for scenario in scenarios]
    while time.monotonic() < over and not all(row.over for row in rows):
        for row in rows:
            if not row.over and time.monotonic() < over:
                before = row.clean
                await run_once(row, seed + row.done)
                seed_of_it = f"  <- seed {seed + row.done - 1}" if before and not row.clean else ""
                print(row, seed_of_it, flush=True)
    return rows


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60, help="begin nothing new after that")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    arguments.add_argument("scenario", nargs="*", help="the beginning of its name; default: all")
    given = arguments.parse_args()
    chosen = [
        scenario
        for scenario in SCENARIOS
        if not given.scenario or any(map(scenario.name.startswith, given.scenario))
    ]
    if not chosen:
        arguments.error("there are: " + "; ".join(scenario.name for scenario in SCENARIOS))
    print(f"seed {given.seed}\n{HEAD}", flush=True)
    rows = asyncio.run(torture(chosen, given.seed, given.minutes * 60))
    print(f"\n{HEAD}", *rows, *(failure for row in rows for failure in row.failures), sep="\n")
    return 0 if all(row.clean for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
