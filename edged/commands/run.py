"""`edged run`: the station.

As root it acts as the owner of the station's folder, as the service does, because files of root
there would shut the service out.

A mistake that needs a person ends with status 2, which systemd does not try again; what may heal by
itself (a port or a store that another program uses, a full disk) ends with 1.
"""

import argparse
import sys

from durable.owner import as_owner
from edged import logs, loop
from edged.cli import FAILED, MISUSED, OK
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
        return MISUSED if error.needs_person else FAILED
    except StoreError as error:
        sentence = said(config.station.language, error.key, **error.params)
        print(f"edged: {sentence} ({error})", file=sys.stderr)
        return MISUSED if error.needs_person else FAILED
    return OK
