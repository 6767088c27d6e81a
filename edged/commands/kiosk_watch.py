"""`edged kiosk-watch`: the screen's browser, which is started again when its page is dead."""

import argparse
import signal
import sys
from types import FrameType

from edged import logs
from edged.cli import FAILED
from edged.kiosk_watch import watch

_ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP: the screen's terminal was taken away."""


def main(options: argparse.Namespace) -> int:
    logs.set_up(verbose=options.verbose)
    for number in _ENDS:
        signal.signal(number, _stop)
    try:
        watch(options.browser, options.port, options.page)
    except OSError as error:
        print(f"edged: the browser cannot be started: {error}", file=sys.stderr)
    return FAILED


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in _ENDS:  # once: the browser is to be ended in peace
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
