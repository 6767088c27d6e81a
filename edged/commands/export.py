"""`edged export`: the station's facts, also while it runs."""

import argparse
import sys
from typing import Literal

from durable.owner import as_owner
from edged import logs
from edged.cli import FAILED, OK, counted
from edged.config import load
from edged.transfer import kept_facts, write_facts
from kiosk.words import said
from store import StoreError


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    station = load(options.config).station
    form: Literal["csv", "jsonl"] = "csv" if options.csv else "jsonl"
    try:
        with as_owner(station.data):  # SQLite makes a file there for who reads
            facts = kept_facts(station.data)
        if options.output is None:
            write_facts(facts, sys.stdout, form)
            sys.stdout.flush()
            return OK
        with options.output.open("w", encoding="utf-8") as file:
            write_facts(facts, file, form)
    except StoreError as error:
        sentence = said(station.language, error.key, **error.params)
        print(f"edged export: {sentence} ({error})", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{options.output}: " if options.output else ""
        print(f"edged export: {where}{error.strerror}", file=sys.stderr)
        return FAILED
    print(f"{counted(len(facts), 'fact')} in {options.output}")
    return OK
