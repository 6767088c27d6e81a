"""``python -m bridge.standin --port 8069``: the demo's shop until interrupted."""

import argparse
import asyncio
from contextlib import suppress
from pathlib import Path

from bridge.standin.demo import NAME, PASSWORD, stock
from bridge.standin.server import StandIn


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bridge.standin", description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--version", type=int, default=18, choices=(16, 17, 18, 19))
    arguments.add_argument("--state", type=Path, help="keep the records in this file")
    given = arguments.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.port, given.version, given.state))


async def _serve(port: int, version: int, state: Path | None) -> None:
    async with StandIn(stock(version), state=state, port=port) as odoo:
        print(f"{odoo.url} db={NAME} login=bridge password={PASSWORD}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
