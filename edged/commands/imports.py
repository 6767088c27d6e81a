"""`edged import`: members, products and barcode rules of a station without Odoo.

The one rule: the files are taken whole or not at all; every mistake is told with its line.

As root it acts as the owner of the station's folder, because files of root there would shut the
service out. What root alone may read is read before.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from durable.owner import as_owner
from edged import logs
from edged.cli import FAILED, MISUSED, OK, counted
from edged.config import Config, load
from edged.daemon import CannotStart, opened, station_badge_key
from edged.tables import ImportRefused, Table
from edged.transfer import Imported, import_tables, read_files
from kiosk.words import Language, said
from store import StoreError


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    config = load(options.config)
    tables = read_files(options.files)
    try:
        named_key = station_badge_key(config) if config.station.badge_key_file else None
        with as_owner(config.station.data):
            imported = asyncio.run(_import(config, tables, named_key))
    except ImportRefused as refused:
        print(refused, file=sys.stderr)
        print("Nothing was imported.", file=sys.stderr)
        return MISUSED
    except CannotStart as error:
        print(f"edged import: {error}", file=sys.stderr)
        return FAILED
    except StoreError as error:
        sentence = said(config.station.language, error.key, **error.params)
        print(f"edged import: {sentence} ({error})", file=sys.stderr)
        return FAILED
    _tell(imported, config.station.language)
    return OK


async def _import(
    config: Config, tables: Sequence[Table | ImportRefused], named_key: bytes | None
) -> Imported:
    async with opened(config, lambda: "synced") as store:
        key = named_key or station_badge_key(config)
        return await import_tables(store, tables, key, zone=config.station.zone)


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
