"""`edged import`: members, products and barcode rules of a station without Odoo.

The one rule: the files are taken whole or not at all; every mistake is told with its line.
"""

import argparse
import asyncio
import sys

from edged import logs
from edged.cli import FAILED, MISUSED, OK, counted
from edged.config import Config, load
from edged.daemon import CannotStart, opened, station_badge_key
from edged.tables import ImportRefused
from edged.transfer import Imported, import_files
from kiosk.words import Language, said
from store import StoreFull


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    config = load(options.config)
    try:
        imported = asyncio.run(_import(config, options))
    except ImportRefused as refused:
        print(refused, file=sys.stderr)
        print("Nothing was imported.", file=sys.stderr)
        return MISUSED
    except CannotStart as error:
        print(f"edged import: {error}", file=sys.stderr)
        return FAILED
    except StoreFull as full:
        sentence = said(config.station.language, full.key, **full.params)
        print(f"edged import: {sentence} ({full})", file=sys.stderr)
        return FAILED
    _tell(imported, config.station.language)
    return OK


async def _import(config: Config, options: argparse.Namespace) -> Imported:
    async with opened(config, lambda: "synced") as store:
        key = station_badge_key(config)
        return await import_files(store, options.files, key, zone=config.station.zone)


def _tell(imported: Imported, language: Language) -> None:
    counts = (
        ("member", imported.members),
        ("product", imported.products),
        ("rule", imported.rules),
    )
    for what, count in counts:
        if count is not None:
            print(counted(count, what))
    for product, refused in imported.unprintable:
        why = said(language, refused.key, **refused.params)
        print(f"no label for {product.name}: {why} ({refused.key})", file=sys.stderr)
    if imported.unprintable:
        print("Give the till's barcode rules as well (rules.csv).", file=sys.stderr)
