"""`edged export`: the station's facts, also while it runs."""

import argparse
import sys
from typing import Literal

from edged import logs
from edged.cli import FAILED, OK
from edged.config import load
from edged.transfer import export_facts
from store import StoreError


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    folder = load(options.config).station.data
    form: Literal["csv", "jsonl"] = "csv" if options.csv else "jsonl"
    try:
        if options.output is None:
            export_facts(folder, sys.stdout, form)
            return OK
        with options.output.open("w", encoding="utf-8") as file:
            count = export_facts(folder, file, form)
    except (StoreError, OSError) as error:
        print(f"edged export: {error}", file=sys.stderr)
        return FAILED
    print(f"{count} facts in {options.output}")
    return OK
