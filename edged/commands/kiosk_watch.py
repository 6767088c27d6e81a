"""`edged kiosk-watch`: the screen's browser, which is started again when its page is dead."""

import argparse
import signal
import sys
from types import FrameType

from edged import logs
from edged.cli import FAILED, MISUSED
from edged.kiosk_watch import ENDS, missing, watch


def main(options: argparse.Namespace) -> int:
    logs.set_up(verbose=options.verbose)
    if program := missing(options.browser):
        remedy = "`sudo apt install cage chromium xwayland`, or correct the command"
        print(f"edged: {program or 'nothing'}: no such program: {remedy}", file=sys.stderr)
        return MISUSED
    for number in ENDS:
        signal.signal(number, _stop)
    try:
        watch(options.browser, options.port, options.page)
    except OSError as error:
        print(f"edged: the browser cannot be started: {error}", file=sys.stderr)
    return FAILED


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in ENDS:  # once: the browser is to be ended in peace
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
