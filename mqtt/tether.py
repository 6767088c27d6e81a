"""Runs a program that dies with the process which started it, even when that one is killed.

The one rule: started as ``python -I tether.py PARENT PROGRAM …``; it imports nothing of ours, so
that it costs no more than an interpreter, and becomes the program (same process id). Who starts it
gives it a session of its own, so that a terminal's Ctrl-C reaches the parent alone, which ends its
programs in order.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(0)
    os.execvp(program[0], program)  # noqa: S606 - the whole point


if __name__ == "__main__":
    main()
