"""`edged run`: the station."""

import argparse
import asyncio
import sys

from edged import logs
from edged.cli import FAILED, OK
from edged.config import load


def main(options: argparse.Namespace) -> int:
    logs.set_up(verbose=options.verbose)
    config = load(options.config)
    from edged.daemon import CannotStart, run

    try:
        asyncio.run(run(config))
    except CannotStart as error:
        print(f"edged: {error}", file=sys.stderr)
        return FAILED
    return OK
