import csv
import io
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.imports import import_files
from support.released import restore
from support.stores import ack, fact, label, opened

from badge_reader.number import candidates
from edged.tables import ImportRefused
from edged.transfer import kept_facts, write_facts
from mqtt.identity import badge_hash
from mqtt.messages import Parked
from store import StoreBusy, StoreError, StoreFull
from store.opening import FILE

KEY = b"the site's key"
PARIS = ZoneInfo("Europe/Paris")

MEMBERS = """\
badge;id;first_name;verdict;next_shift;language
0420001234004;1234;Zoé;ok;2026-12-03 18:30;fr
0420001234011;1235;Léo;warn;03/12/2026 18:30;
04A1B2C3;7;Inès;stop;;ES
"""

PRODUCTS = """\
id,number,name,price,barcode,category,tare_g,details
11,104,Pommes Gala,"2,95",2112345000008,Fruits,12,"France, cat. I"
12,,Poireaux,3.4 €,0200145000006,,,
"""

RULES = """\
sequence;type;encoding;pattern
36;weight;ean13;21.....{NNDDD}
37;price_to_weight;ean13;02.....{NNNDD}
"""


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


async def refusal(folder, *texts, encoding="utf-8"):
    """The mistakes, as a person reads them, without the folder."""
    files = [write(folder, f"{n}.csv", text, encoding) for n, text in enumerate(texts)]
    async with opened(folder / "store") as store:
        with pytest.raises(ImportRefused) as refused:
            await import_files(store, files, KEY)
        assert store.directory.as_of is None
        assert store.catalogue.current.get() is None
    return [str(mistake).removeprefix(f"{folder}/") for mistake in refused.value.mistakes]


async def test_members_and_products_fill_the_station(tmp_path):
    files = [
        write(tmp_path, "members.csv", MEMBERS),
        write(tmp_path, "products.csv", PRODUCTS),
        write(tmp_path, "rules.csv", RULES),
    ]
    async with opened(tmp_path / "store") as store:
        imported = await import_files(store, files, KEY, zone=PARIS)
        assert (imported.members, imported.products, imported.rules) == (3, 2, 2)
        assert imported.gaps == ()
        zoe = store.directory.lookup([badge_hash(KEY, "0420001234004")])
        assert zoe is not None
        assert (zoe.who.kind, zoe.who.id, zoe.first_name) == ("member", 1234, "Zoé")
        assert (zoe.verdict, zoe.language) == ("ok", "fr")
        leo = store.directory.lookup([badge_hash(KEY, "0420001234011")])
        ines = store.directory.lookup([badge_hash(KEY, "04A1B2C3")])
        assert leo is not None
        assert ines is not None
        # Both ways of writing it are 18:30 in Paris.
        assert zoe.next_shift == leo.next_shift == datetime(2026, 12, 3, 17, 30, tzinfo=UTC)
        assert leo.language is None
        assert (ines.language, ines.next_shift) == ("es", None)
        catalogue = store.catalogue.current.get()
        assert catalogue is not None
        gala, leeks = catalogue.products
        assert (gala.price_cents_per_kg, gala.tare_g, gala.number) == (295, 12, "104")
        assert gala.details == "France, cat. I"
        assert (leeks.price_cents_per_kg, leeks.tare_g, leeks.category) == (340, 0, "")
        assert [rule.pattern for rule in catalogue.rules] == ["21.....{NNDDD}", "02.....{NNNDD}"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_whatever_the_spreadsheet_wrote(tmp_path, encoding, separator, ending):
    text = MEMBERS.replace(";", separator).replace("\n", ending)
    file = write(tmp_path, "members.csv", text, encoding)
    async with opened(tmp_path / "store") as store:
        await import_files(store, [file], KEY)
        zoe = store.directory.lookup([badge_hash(KEY, "0420001234004")])
        assert zoe is not None
        assert zoe.first_name == "Zoé"


async def test_every_mistake_of_every_file_is_told_with_its_place(tmp_path):
    members = (
        "badge;id;first_name;verdict;next_shift\n"
        "0420001234004.0;1234;Zoé;ok;\n"
        "\n"
        "0420001234011;x;;maybe;next week\n"
    )
    products = "id;name;price;barcode\n1;Poireaux;2,955;2112345000009\n2;Prunes;0;211234\n"
    mistakes = await refusal(tmp_path, members, products)
    assert [mistake.partition(": ")[0] for mistake in mistakes] == [
        "0.csv, line 2, badge",
        "0.csv, line 4, id",
        "0.csv, line 4, first_name",
        "0.csv, line 4, verdict",
        "0.csv, line 4, next_shift",
        "1.csv, line 2, price",
        "1.csv, line 2, barcode",
        "1.csv, line 3, price",
        "1.csv, line 3, barcode",
    ]
    assert "ok, warn, stop" in mistakes[3]
    # A badge number is not repeated on a screen or in a log.
    assert "0420001234004" not in mistakes[0]


async def test_a_line_number_is_where_the_line_begins(tmp_path):
    text = 'id,name,price,barcode,details\n1,A,1,2112345000008,"two\nlines"\n2,B,x,2112346000007,\n'
    assert await refusal(tmp_path, text) == [
        "0.csv, line 4, price: 'x' is not a price of a kilogram, such as 2,95"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("badge,id,first_name\n", "this column is missing"),
        ("badge,id,first_name,verdict,langage\n", "Did you mean 'language'?"),
        ("badge,id,first_name,verdict,id\n", "there twice"),
        ("id,name,price,barcode\n1,A,2,95,2112345000008\n", "between double quotes"),
        ('id,name,price,barcode\n1,"A,2.95,2112345000008\n', "not closed"),
        ("id,name,price,barcode\n1,A,2.95,2.11235E+12\n", "as text"),
        ("id,name,price,barcode\n1,A,-1,2112345000008\n", "not a price"),
        ("id,name,price,barcode\n1,A,1 234 567,2112345000008\n", "not a price"),
        ("id,name,price,barcode,tare_g\n1,A,1,2112345000008,0.012\n", "whole grams"),
        ("id,name,price,barcode\n1,A,1,2112345000008\n1,B,1,2112346000007\n", "in line 2"),
        ("badge,id,first_name,verdict\n04A1B2C3,1,A,ok\n04a1b2c3,2,B,ok\n", "in line 2"),
        ("badge,id,first_name,verdict,language\n04A1B2C3,1,A,ok,french\n", "such as fr"),
        ("badge,id,first_name,verdict\n0420001234004,9999999999,A,ok\n", "from 1 to 2147483647"),
        (f"badge,id,first_name,verdict\n0420001234004,{'9' * 5000},A,ok\n", "from 1 to"),
        ('badge,id,first_name,verdict\n"4,2E+11",1,A,ok\n', "as text"),
        ("badge,id,first_name,verdict\n420001234004.0,1,A,ok\n", "as text"),
        ("badge,id,first_name,verdict,next_shift\n04A1B2C3,1,A,ok,0001-01-01\n", "not a time"),
        ("badge,id,first_name,verdict\n", "no line below"),
        ("badge,id,first_name,verdict,\n04A1B2C3,1,A,ok,x\n", "5 values for 4 columns"),
        ("PK\x03\x04\x14", "save it as CSV"),
        ("badge;id;first_name;verdict\n04A1B2C3;1;A;ok\n\0", "line 3, badge: there is a character"),
        ("sequence,type,encoding,pattern\n1,weight,ean13,21({NNDDD}\n", "not a pattern"),
        ("sequence,type,encoding,pattern\n1,weight,code39,21{NNDDD}\n", "ean13, ean8"),
    ],
)
async def test_a_mistake_says_what_to_do(tmp_path, text, told):
    mistakes = await refusal(tmp_path, text)
    assert any(told in mistake for mistake in mistakes), mistakes


async def test_the_same_badge_or_product_in_two_files_is_told(tmp_path):
    assert await refusal(tmp_path, MEMBERS, MEMBERS.partition("0420001234011")[0]) == [
        f"1.csv, line 2, badge: the same as in {tmp_path}/0.csv, line 2: remove one"
    ]
    (tmp_path / "more").mkdir()
    (told,) = await refusal(tmp_path / "more", PRODUCTS, PRODUCTS.partition("12,,")[0])
    assert told.startswith("1.csv, line 2, id: the same")


async def test_one_file_given_twice_is_told(tmp_path):
    file = write(tmp_path, "members.csv", MEMBERS)
    async with opened(tmp_path) as store:
        with pytest.raises(ImportRefused) as refused:
            await import_files(store, [file, file], KEY)
    assert len(refused.value.mistakes) == 3
    assert str(refused.value).startswith(f"{file}, line 2, badge: the same as in line 2")


async def test_empty_columns_that_a_spreadsheet_adds_are_nothing(tmp_path):
    file = write(tmp_path, "members.csv", MEMBERS.replace("\n", ";;\n") + ";;;;;;;\n")
    async with opened(tmp_path / "store") as store:
        assert (await import_files(store, [file], KEY)).members == 3


async def test_no_room_for_the_members_leaves_the_products_too(tmp_path):
    lines = (f"{n:08d};{n};A;ok\n" for n in range(1, 5001))
    members = write(tmp_path, "m.csv", "badge;id;first_name;verdict\n" + "".join(lines))
    products = write(tmp_path, "p.csv", PRODUCTS)
    async with opened(tmp_path / "store") as store:
        await store._writer.run(lambda connection: limit(connection, 20))
        with pytest.raises(StoreFull):
            await import_files(store, [products, members], KEY)
        assert store.catalogue.current.get() is None
        assert store.directory.count == 0
    async with opened(tmp_path / "store") as store:
        assert store.catalogue.current.get() is None


def limit(connection, pages):
    """Let the file grow by so many pages, and no further."""
    now = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {now + pages}")


async def test_a_file_that_is_not_there(tmp_path):
    async with opened(tmp_path / "store") as store:
        with pytest.raises(ImportRefused, match="No such file"):
            await import_files(store, [tmp_path / "none.csv"], KEY)


async def test_a_leading_zero_that_the_spreadsheet_took_is_put_back(tmp_path):
    file = write(tmp_path, "p.csv", "id,name,price,barcode\n1,A,1,200145000006\n")
    async with opened(tmp_path / "store") as store:
        await import_files(store, [file], KEY)
        catalogue = store.catalogue.current.get()
        assert catalogue is not None
        assert catalogue.products[0].barcode == "0200145000006"


async def test_a_badge_without_its_leading_zero_is_found_by_the_whole_one(tmp_path):
    file = write(tmp_path, "m.csv", MEMBERS.replace("0420001234004", "420001234004"))
    async with opened(tmp_path / "store") as store:
        await import_files(store, [file], KEY)
        for shown in ("0420001234004", "420001234004", "42000123400"):
            found = store.directory.lookup([badge_hash(KEY, n) for n in candidates(shown)])
            assert found is not None, shown


async def test_products_that_no_label_can_be_printed_for_are_told(tmp_path):
    rules = write(tmp_path, "rules.csv", RULES)
    products = write(
        tmp_path,
        "products.csv",
        "id,name,price,barcode\n1,A,1,2112345012346\n2,B,1,2112346000007\n",
    )
    async with opened(tmp_path / "store") as store:
        imported = await import_files(store, [products, rules], KEY)
        (gap,) = imported.gaps
        assert (gap.product.id, gap.why.key) == (1, "barcode.not_zero")


async def test_new_products_keep_the_rules_and_new_rules_the_products(tmp_path):
    products, rules = write(tmp_path, "p.csv", PRODUCTS), write(tmp_path, "r.csv", RULES)
    async with opened(tmp_path / "store") as store:
        imported = await import_files(store, [products], KEY)
        assert {gap.why.key for gap in imported.gaps} == {"barcode.no_rules"}
        imported = await import_files(store, [rules], KEY)
        assert imported.gaps == ()
        await import_files(store, [products], KEY)
        catalogue = store.catalogue.current.get()
        assert catalogue is not None
        assert (len(catalogue.products), len(catalogue.rules)) == (2, 2)


async def test_a_running_daemon_keeps_an_import_out(tmp_path):
    async with opened(tmp_path):
        with pytest.raises(StoreBusy):
            async with opened(tmp_path):
                pass


# --- export --------------------------------------------------------------------------------


async def test_facts_leave_without_badges_while_the_daemon_runs(tmp_path):
    async with opened(tmp_path) as store:
        first = await store.outbox.put("badge", fact(7))
        await store.outbox.put("label", label())
        parked = Parked(seq=1, id=first.id, why="unknown member")
        await store.outbox.acknowledge(ack(store.outbox.epoch, stored=1, done=1, parked=(parked,)))
        facts = kept_facts(tmp_path)
        out = io.StringIO()
        write_facts(facts, out, "jsonl")
        badge, printed = map(json.loads, out.getvalue().splitlines())
        assert (badge["seq"], badge["state"], badge["why"]) == (1, "parked", "unknown member")
        assert badge["data"]["who"] == {"kind": "member", "id": 7}
        assert fact(7).badge not in out.getvalue()
        assert (printed["state"], printed["data"]["net_g"]) == ("waiting", 482)
        out = io.StringIO()
        write_facts(facts, out, "csv")
        badge, printed = csv.DictReader(io.StringIO(out.getvalue()), delimiter=";")
        assert (badge["data.who.id"], badge["data.net_g"]) == ("7", "")
        assert (printed["data.who.id"], printed["data.net_g"]) == ("", "482")
        assert fact(7).badge not in out.getvalue()


async def test_facts_can_be_exported_when_no_daemon_runs(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("badge", fact())
    assert len(kept_facts(tmp_path)) == 1


async def test_a_fact_that_the_disk_has_changed_leaves_as_its_number_alone(tmp_path):
    async with opened(tmp_path) as store:
        for n in range(3):
            await store.outbox.put("badge", fact(n))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        sql = "UPDATE outbox SET body = ? WHERE n & 15 = ?"
        connection.execute(sql, (b"\xff no JSON", 1))
        connection.execute(
            "UPDATE outbox SET body = CAST(replace(CAST(body AS TEXT), 'ok', 'no') AS BLOB),"
            " state = 9 WHERE n & 15 = 2"
        )
        connection.commit()
    facts = kept_facts(tmp_path)
    assert [(one["seq"], one["state"]) for one in facts] == [
        (1, "damaged"), (2, "damaged"), (3, "waiting"),
    ]  # fmt: skip
    for form in ("csv", "jsonl"):
        out = io.StringIO()
        write_facts(facts, out, form)
        assert out.getvalue().count("damaged") == 2


def test_a_store_of_an_older_version_can_be_exported_before_it_is_opened(tmp_path):
    dump = Path(__file__).parents[1] / "store" / "released" / "version-1.sql"
    restore(dump, tmp_path / FILE)
    assert [one["seq"] for one in kept_facts(tmp_path)] == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_an_empty_store_exports_the_names_of_the_columns(tmp_path):
    async with opened(tmp_path):
        assert kept_facts(tmp_path) == []
    out = io.StringIO()
    write_facts([], out, "csv")
    assert out.getvalue() == "v;id;epoch;seq;at;clock;boot;up;kind;state;why\n"
    out = io.StringIO()
    write_facts([], out, "jsonl")
    assert out.getvalue() == ""


async def test_the_columns_of_every_fact_stand_in_one_order(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("badge", fact())
    out = io.StringIO()
    write_facts(kept_facts(tmp_path), out, "csv")
    assert out.getvalue().startswith("v;id;epoch;seq;at;clock;boot;up;kind;state;why;data.")


def test_there_is_nothing_to_export_without_a_store(tmp_path):
    with pytest.raises(StoreError) as refused:
        kept_facts(tmp_path)
    assert refused.value.key == "store.missing"


def test_a_store_in_a_folder_of_somebody_else_is_told(tmp_path, monkeypatch):
    def denied(_path, **_options):
        raise PermissionError(13, "Permission denied")  # what the kernel says to all but root

    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(StoreError) as refused:
        kept_facts(tmp_path)
    assert refused.value.key == "store.permission"
