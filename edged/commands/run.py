"""`edged run`: the station.

As root it acts as the owner of the station's folder, as the service does, because files of root
there would shut the service out.
"""

import argparse
import sys

from durable.owner import as_owner
from edged import logs, loop
from edged.cli import FAILED, OK
from edged.config import load
from kiosk.words import said
from store import StoreError


def main(options: argparse.Namespace) -> int:
    logs.set_up(verbose=options.verbose)
    config = load(options.config)
    from edged.daemon import CannotStart, run

    try:
        with as_owner(config.station.data):
            loop.run(run(config))
    except CannotStart as error:
        print(f"edged: {error}", file=sys.stderr)
        return FAILED
    except StoreError as error:
        sentence = said(config.station.language, error.key, **error.params)
        print(f"edged: {sentence} ({error})", file=sys.stderr)
        return FAILED
    return OK
