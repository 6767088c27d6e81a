"""The table that is printed, and the machine it was measured on.

The one rule: a figure without its machine is worth nothing; load and cores stand under the table.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.row import Row

_LINE = "{:<66} {:>10} {:>10} {:<7} {:>9} {:>7}  {}"
HEAD = _LINE.format("what is measured", "p50", "p99/value", "", "budget", "share", "").rstrip()


def line(row: Row) -> str:
    share = "" if row.ratio is None else f"{row.ratio:.0%}"
    budget = "" if row.budget is None else ("≥ " if row.least else "≤ ") + _number(row.budget)
    p50 = "" if row.p50 is None else _number(row.p50)
    verdict = "" if row.budget is None else "MISSED" if row.missed else "ok"
    return _LINE.format(row.name, p50, _number(row.value), row.unit, budget, share, verdict)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def machine() -> dict[str, str]:
    return {
        "cpu": f"{_cpu()}, {os.cpu_count()} cores, {platform.machine()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"Linux {platform.release()}, Python {platform.python_version()}",
    }


def _cpu() -> str:
    """As the kernel calls it; a Pi has no `model name`, but says what board it is."""
    board = Path("/proc/device-tree/model")
    if board.exists():
        return board.read_text().strip("\0\n")
    named = [
        text for text in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in text
    ]
    return named[0].partition(":")[2].strip() if named else platform.processor()


def as_json(rows: Iterable[Row], before: Mapping[str, str]) -> dict[str, Any]:
    figures = [{**asdict(row), "ratio": row.ratio, "missed": row.missed} for row in rows]
    return {"machine": {**before, "load_after": machine()["load"]}, "rows": figures}
