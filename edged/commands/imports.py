"""`edged import`: members, products and barcode rules of a station without Odoo.

The one rule: the files are taken whole or not at all; every mistake is told with its line.

As root it acts as the owner of the station's folder, because files of root there would shut the
service out. What root alone may read is read before.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence

from durable.owner import as_owner
from edged import logs
from edged.cli import FAILED, MISUSED, OK, counted
from edged.config import Config, load
from edged.daemon import CannotStart, opened, station_badge_key
from edged.printable import Gap
from edged.tables import ImportRefused, Table
from edged.transfer import Imported, import_tables, read_files
from kiosk.settings import ScaleSettings
from kiosk.words import count, limit, said, say, weight
from store import StoreError

_OWN = ("code", "other")
"""What a reason says of one product only."""


def main(options: argparse.Namespace) -> int:
    logs.quiet()
    config = load(options.config)
    tables = read_files(options.files, options.encoding)
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
    _tell(imported, config)
    return OK


def weights_of(config: Config) -> range:
    """The weights in grams that the station's scale may show; without one, those of most scales."""
    scale = config.screens.scale
    limits = ScaleSettings.model_fields
    least = scale.min_g if scale else limits["min_g"].default
    most = scale.max_g if scale else limits["max_g"].default
    return range(max(least, 1), most + 1)


async def _import(
    config: Config, tables: Sequence[Table | ImportRefused], named_key: bytes | None
) -> Imported:
    async with opened(config, lambda: "synced") as store:
        key = named_key or station_badge_key(config)
        zone, weights = config.station.zone, weights_of(config)
        return await import_tables(store, tables, key, zone=zone, weights=weights)


def _tell(imported: Imported, config: Config) -> None:
    counts = (
        ("member", imported.members),
        ("product", imported.products),
        ("rule", imported.rules),
    )
    for what, number in counts:
        if number is not None:
            print(counted(number, what))
    for doubt in imported.doubts:
        print(doubt, file=sys.stderr)
    for sentence in _gaps(imported, config):
        print(sentence, file=sys.stderr)


def _gaps(imported: Imported, config: Config) -> Iterator[str]:
    """One sentence for all products that have the same fault at the same weights."""
    language = config.station.language
    weights = weights_of(config)
    alike: dict[tuple[str, str, int, int], list[Gap]] = {}
    for gap in imported.gaps:
        params = {name: value for name, value in gap.why.params.items() if name not in _OWN}
        alike.setdefault((gap.why.key, str(params), gap.first_g, gap.count), []).append(gap)
    for (key, _, first_g, number), same in alike.items():
        name = same[0].product.name
        if len(same) > 1:
            name = say(language, "import.others", name=name, count=len(same) - 1)
        why = said(language, key, **same[0].why.params)
        if number == len(weights):
            yield say(language, "import.none", name=name, why=f"{why} ({key})")
            continue
        yield say(
            language,
            "import.some",
            name=name,
            count=count(language, number),
            all=count(language, len(weights)),
            least=limit(language, weights[0]),
            most=limit(language, weights[-1]),
            first=weight(language, first_g),
            why=f"{why} ({key})",
        )
    if any(gap.why.key == "barcode.no_rules" for gap in imported.gaps):
        yield say(language, "import.give_rules")
