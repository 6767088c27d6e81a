"""`edged bridge`: the bridge between the broker and Odoo, and a person's hand on parked facts."""

import argparse
import asyncio
import os
import signal
import sqlite3
import sys

from bridge.config import BridgeConfig, ConfigError, load
from edged import logs
from edged.cli import FAILED, MISUSED, OK, counted
from mqtt.secrets import SecretError


def main(options: argparse.Namespace) -> int:
    try:
        config = load(options.config, mqtt_url=os.environ.get("EDGED_MQTT_URL"))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return MISUSED
    if options.check:
        print(f"{options.config}: understood; {counted(len(config.site), 'site')}")
        return OK
    if options.parked or options.retry or options.drop:
        logs.quiet()
        try:
            return _parked(config, options)
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            print(
                f"edged bridge: {config.inbox.folder}: {why}. Run this as the bridge's user.",
                file=sys.stderr,
            )
            return FAILED
    logs.set_up(verbose=options.verbose)
    from bridge.main import CannotOpen

    try:
        asyncio.run(_run(config))
    except (SecretError, CannotOpen) as error:
        print(f"{options.config}: {error}", file=sys.stderr)
        return FAILED
    except ValueError as error:  # the broker's address, which loading need not have
        print(f"{options.config}: {error}", file=sys.stderr)
        return MISUSED
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


def _parked(config: BridgeConfig, options: argparse.Namespace) -> int:
    from bridge.inbox import Inbox

    inbox = Inbox(config.inbox.folder)
    try:
        for fact, act, done in (
            (options.retry, inbox.retry, "will be tried again"),
            (options.drop, inbox.drop, "is dropped"),
        ):
            if fact is not None:
                if not act(fact):
                    print(f"edged bridge: no parked fact {fact}", file=sys.stderr)
                    return MISUSED
                print(f"{fact} {done}")
        if options.parked:
            for parked in inbox.parked():
                print(parked)
    finally:
        inbox.close()
    return OK
