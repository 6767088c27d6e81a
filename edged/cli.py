"""The command line: what a technician types.

The one rule: starting costs little. This module imports argparse and nothing of the floors; each
command imports what it needs when it runs.

Exit status: 0 done · 1 failed while running · 2 wrong use, or a mistake that needs a person · 3 a
device does not answer, or a file that the configuration names cannot be used.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

OK, FAILED, MISUSED, NO_ANSWER = 0, 1, 2, 3

DEFAULT_STATION = Path("/etc/edged/station.toml")
DEFAULT_BRIDGE = Path("/etc/edged/bridge.toml")

EXIT_STATUS = """\
exit status:
  0  done
  1  failed while running; the message says why
  2  wrong use, or a mistake that needs a person: in a configuration file (each is listed), a
     secret, or the owner of a folder; systemd does not start the service again
  3  a device does not answer, or a check finds that a file which is named cannot be used
"""


def counted(number: int, thing: str) -> str:
    """ "1 site", "2 sites"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="edged",
        description="Holds a shop's badge readers, scales, label printers and cameras, shows the "
        "stations' screens, and tells Odoo over MQTT.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, help="print the version and the commit")
    top.add_argument("-v", "--verbose", action="store_true", help="log details")
    commands = _Commands(top.add_subparsers(metavar="COMMAND", required=True))
    _add_services(commands)
    _add_bench(commands)
    _add_decode(commands)
    _add_data(commands)
    return top


class _Version(argparse.Action):
    """Looks for the commit only when it is asked."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, *_: object) -> None:
        from edged.build import BUILD

        print(f"edged {BUILD}")
        sys.exit(OK)


class _Commands:
    """Adds commands that look alike."""

    def __init__(self, group: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        self._group = group

    def add(
        self, name: str, summary: str, *, config: Path | None = None
    ) -> argparse.ArgumentParser:
        """A command, run by the module of its name; with `config`, it reads that file."""
        command = self._group.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=EXIT_STATUS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module = _MODULES.get(name, name)
        command.set_defaults(module=f"edged.commands.{module}")
        if config is not None:
            command.add_argument(
                "-c",
                "--config",
                type=Path,
                default=config,
                metavar="FILE",
                help=f"the configuration (default {config})",
            )
        return command


_MODULES = {"try": "trial", "import": "imports", "kiosk-watch": "kiosk_watch"}
"""Commands whose names cannot be names of modules."""


def _add_services(commands: _Commands) -> None:
    commands.add("run", "run the station", config=DEFAULT_STATION)

    watch = commands.add(
        "kiosk-watch", "show a page of the station full size, and start a dead browser again"
    )
    watch.add_argument(
        "--port", type=_port, default=8080, help="[kiosk] port of the station (default 8080)"
    )
    watch.add_argument(
        "--page", type=_page, default="entrance", help="the page to show (default entrance)"
    )
    watch.add_argument(
        "browser",
        nargs="+",
        metavar="COMMAND",
        help="after --: Chromium's command line; its profile and the address are added to it",
    )

    bridge = commands.add(
        "bridge",
        "run the bridge between the broker and Odoo, or see to its parked facts",
        config=DEFAULT_BRIDGE,
    )
    bridge.add_argument("--check", action="store_true", help="read the file and stop")
    bridge.add_argument("--parked", action="store_true", help="list the facts that Odoo refused")
    bridge.add_argument("--retry", metavar="ID", help="try a parked fact again")
    bridge.add_argument("--drop", metavar="ID", help="give a parked fact up, for good")

    demo = commands.add(
        "demo",
        "run one station with simulated devices, a private broker, the bridge and a stand-in Odoo",
    )
    demo.add_argument("--port", type=int, default=8080, help="the screens (default 8080; 0: any)")
    demo.add_argument(
        "--bench-port", type=int, default=8081, help="the workbench (default 8081; 0: any)"
    )
    demo.add_argument(
        "--dir", type=Path, metavar="FOLDER", help="keep everything here, also afterwards"
    )
    demo.add_argument("--no-browser", action="store_true", help="open no browser window")


def _add_bench(commands: _Commands) -> None:
    check = commands.add(
        "check",
        "read the station's file, then ask each device to answer (stop the station first)",
        config=DEFAULT_STATION,
    )
    check.add_argument(
        "--offline", action="store_true", help="the file and its secrets only: open no device"
    )

    find = commands.add("find", "list what is plugged in, as configuration to paste")
    find.add_argument("--json", action="store_true", help="as JSON")

    trial = commands.add(
        "try",
        "try one device of the station's file (stop the station first)",
        config=DEFAULT_STATION,
    )
    trial.add_argument("family", choices=["badge_reader", "scale", "printer", "camera"])
    trial.add_argument("name", help="its name in the file, as in [scale.NAME]")
    trial.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="N", help="how long (default 10)"
    )
    trial.add_argument("--output", type=Path, metavar="FILE", help="camera: where the picture goes")


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"a number from 1 to 65535, not {text!r}")


def _page(text: str) -> str:
    if text.isascii() and text.isalpha():
        return text
    raise argparse.ArgumentTypeError(f"the name of a page, such as entrance, not {text!r}")


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(text)) <= 3600:
            return seconds
    raise argparse.ArgumentTypeError(f"more than 0, at most 3600, not {text}")


def _add_decode(commands: _Commands) -> None:
    decode = commands.add("decode", "print what captured bytes mean, as JSON")
    decode.add_argument(
        "protocol",
        nargs="*",
        metavar="PROTOCOL",
        help="such as mettler-8217; `--list` names them. Its family may stand before it",
    )
    decode.add_argument("--list", action="store_true", help="list the protocols")
    decode.add_argument(
        "--batch",
        action="store_true",
        help='read one JSON object a line ("protocol" and the inputs below), answer one line each',
    )
    decode.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what must be known to decode, such as unit=lb",
    )
    decode.add_argument("--request", metavar="HEX", help="what the host sent")
    decode.add_argument("--response", metavar="HEX", help='what the device answered ("": nothing)')
    decode.add_argument("--hex", metavar="HEX", help="what the device sent unasked")
    decode.add_argument("--bits", help="a Wiegand frame, such as 0110…")
    decode.add_argument("--input", metavar="TEXT", help="a code or a typed number; JSON is read")
    decode.add_argument("--events", metavar="JSON", help="evdev events: [[type, code, value], …]")


def _add_data(commands: _Commands) -> None:
    imports = commands.add(
        "import",
        "fill the members and products of a station without Odoo (stop the station first)",
        config=DEFAULT_STATION,
    )
    imports.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="CSV of members, products or rules, told apart by their columns",
    )
    imports.add_argument(
        "--encoding",
        choices=["cp1252", "mac-roman", "cp850", "iso8859-15"],
        help="how letters are written in files that do not say it: Windows, Mac, MS-DOS, Linux",
    )

    export = commands.add(
        "export", "write the station's facts out, also while it runs", config=DEFAULT_STATION
    )
    export.add_argument("what", choices=["facts"])
    export.add_argument("--csv", action="store_true", help="as CSV (default: one JSON a line)")
    export.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="a file (default: standard output)"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # None: it was closed by who started us
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale without ✔ or é, as on stderr
    try:
        status = run(parser().parse_args(arguments))
    finally:
        _flush()
    if "edged.loop" in sys.modules:  # the command had devices
        sys.modules["edged.loop"].leave(status)
    sys.exit(status)


def _flush() -> None:
    """Write out what was printed, before Python does it at its end and complains in its own way."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if not isinstance(error, BrokenPipeError):  # which says that the reader has enough
                print(f"edged: cannot write what was asked for: {error.strerror}", file=sys.stderr)
                sys.exit(FAILED)


def run(options: argparse.Namespace) -> int:
    from importlib import import_module

    try:
        status: int = import_module(options.module).main(options)
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:
        return OK  # `edged export facts | head`: the reader has enough
    except Exception as error:
        # Only now, because pydantic comes with it: a command without a file does not pay for it.
        from mqtt.settings import ConfigError

        if not isinstance(error, ConfigError):
            raise
        print(error, file=sys.stderr)
        return MISUSED
    return status
