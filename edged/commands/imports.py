"""`edged import`: members and products of a station without Odoo.

The one rule: a file is taken whole or not at all; every mistake is told with its line.
"""

import argparse
import asyncio

from edged import logs
from edged.config import Config, load


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    config = load(options.config)
    return asyncio.run(_import(config, options))


async def _import(config: Config, options: argparse.Namespace) -> int:
    raise NotImplementedError
