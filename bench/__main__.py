"""`python -m bench [SUBJECT …] [--json FILE] [--folder FOLDER]`: measure and print the table.

The one rule: it always ends well, within minutes; a budget that is missed is said, not failed.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import backlog, badge, idle, memory, outbox, start, table, weight
from bench.jitter import jitter
from bench.row import Row
from bench.station import compile_all, words_of_children

LONGEST_S = 120.0
SUBJECTS: dict[str, Callable[[Path], Awaitable[list[Row]]]] = {
    "start": start.run,
    "badge": badge.run,
    "weight": weight.run,
    "memory": memory.run,
    "idle": idle.run,
    "outbox": outbox.run,
    "backlog": backlog.run,
}


async def main() -> None:
    options = _options()
    compile_all()
    before = table.machine()
    rows: list[Row] = []
    print("\n".join(before.values()) + "\n\n" + table.HEAD, flush=True)
    for subject in options.subjects or SUBJECTS:
        noise: list[Row] = []
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="edged-bench-") as folder:
            async with (
                words_of_children(Path(folder) / "log"),
                asyncio.timeout(LONGEST_S),
                jitter(noise),
            ):
                found = await SUBJECTS[subject](Path(folder) / subject)
        for row in found + noise:
            print(table.line(row), flush=True)
        rows += found + noise
    print(f"\nload average now: {table.machine()['load']}")
    if options.json:
        options.json.write_text(json.dumps(table.as_json(rows, before), indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the budgets.")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("/var/tmp"),
        help="on the disk to measure (default /var/tmp, which is never in memory)",
    )
    options = parser.parse_args()
    for subject in options.subjects:
        if subject not in SUBJECTS:
            parser.error(f"no subject '{subject}': {', '.join(SUBJECTS)}")
    return options


if __name__ == "__main__":
    asyncio.run(main())
