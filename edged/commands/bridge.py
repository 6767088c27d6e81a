"""`edged bridge`: the bridge between the broker and Odoo, and a person's hand on parked facts."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from bridge.config import BridgeConfig, ConfigError, load, mistakes
from durable.errors import StoreBusy, StoreError
from durable.owner import as_owner
from edged import logs
from edged.cli import FAILED, MISUSED, NO_ANSWER, OK, counted
from mqtt.secrets import SecretError

TRIES, AGAIN_S = 20, 0.25
"""How often, and after how many seconds, a command tries to open an inbox that is in use."""


def main(options: argparse.Namespace) -> int:
    try:
        config = load(options.config, mqtt_url=os.environ.get("EDGED_MQTT_URL"))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return MISUSED
    if options.check:
        return _check(options.config, config)
    if options.parked or options.retry or options.drop:
        logs.quiet()
        return _person(config.inbox.folder, options)
    logs.set_up(verbose=options.verbose)
    from bridge.main import CannotOpen

    try:
        with as_owner(config.inbox.folder):
            asyncio.run(_run(config))
    except (CannotOpen, StoreError) as error:
        print(f"{options.config}: {error}", file=sys.stderr)
        return MISUSED if error.needs_person else FAILED
    # A secret, or the broker's address, which loading need not have.
    except (SecretError, ValueError) as error:
        print(f"{options.config}: {error}", file=sys.stderr)
        return MISUSED
    return OK


def _check(file: Path, config: BridgeConfig) -> int:
    """The file is understood; now the files that it names."""
    wrong = list(mistakes(file, config))
    for mistake in wrong:
        print(mistake, file=sys.stderr)
    if wrong:
        return NO_ANSWER
    print(f"{file}: understood; {counted(len(config.site), 'site')}")
    return OK


async def _run(config: BridgeConfig) -> None:
    from bridge.main import run

    bridge = asyncio.create_task(run(config), name="bridge")
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, bridge.cancel)
    try:
        await bridge
    except asyncio.CancelledError:
        return


def _person(folder: Path, options: argparse.Namespace) -> int:
    """What a person does about parked facts, whether the bridge runs or not."""
    from bridge.control import NoAnswer
    from bridge.patience import DISK_ERRORS, why_not

    try:
        return _parked(folder, options)
    except NoAnswer as error:
        why = f"is in use by a bridge that does not answer ({error}). Look at its log, restart it."
        print(f"edged bridge: {folder} {why}", file=sys.stderr)
    except DISK_ERRORS as error:
        why = f" {why_not(error)}"
        if isinstance(error, OSError):
            why = f": {error.strerror}. Run this as the bridge's user."
        print(f"edged bridge: {folder}{why}", file=sys.stderr)
    return FAILED


def _parked(folder: Path, options: argparse.Namespace) -> int:
    from bridge.inbox import parked_in

    for fact, verb, done in (
        (options.retry, "retry", "will be tried again"),
        (options.drop, "drop", "is dropped"),
    ):
        if fact is not None:
            if not _act(folder, verb, fact):
                print(f"edged bridge: no parked fact {fact}", file=sys.stderr)
                return MISUSED
            print(f"{fact} {done}")
    if options.parked and _is_there(folder):
        with as_owner(folder):
            for parked in parked_in(folder):
                print(parked)
    return OK


def _act(folder: Path, verb: str, fact: str) -> bool:
    """Whether such a fact was parked; done by the bridge that runs, or here if none does."""
    from bridge import control, inbox  # while root may still read them

    if not _is_there(folder):
        return False

    async def act() -> bool:
        for _ in range(TRIES):
            try:
                mine = await inbox.Inbox.open(folder)
                break
            except StoreBusy:
                if control.is_served(folder):
                    return await control.ask(folder, verb, fact)
                await asyncio.sleep(AGAIN_S)  # another command like this one is soon done
        else:
            raise control.NoAnswer("it has no socket")
        try:
            return await (mine.retry if verb == "retry" else mine.drop)(fact) is not None
        finally:
            await mine.close()

    with as_owner(folder):
        return asyncio.run(act())


def _is_there(folder: Path) -> bool:
    """Whether there is an inbox at all: looking for a parked fact makes none. Raises OSError."""
    try:
        (folder / "inbox.sqlite").stat()
    except FileNotFoundError:
        return False
    return True
