"""The stand-in against real servers: the requests they were sent, and what they answered.

Each capture is replayed in the order in which it was taken; results must have the same shape, and
errors the same class, text and code.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.standin.database import Database
from bridge.standin.demo import add_product
from bridge.standin.rpc import Server, User

CAPTURES = Path(__file__).parents[1] / "captures" / "odoo"
USERS = {
    "admin": User(2, frozenset({"admin"})),
    "bridge": User(8, frozenset({"bridge", "API-KEY"})),
    "lowly": User(9, frozenset({"lowly"}), keeper=False),
}
EMPLOYEES = {7: "Audrey Peterson", 11: "Doris Cole", 6: "Somebody"}
MEMBERS = {18: ("Ron Gibson", "0420000000181"), 19: ("Douglas Fletcher", "0420000000198")}

ATTENDANCES = [
    "attendance-create",
    "attendance-create-second-open",
    "attendance-write-checkout",
    "attendance-create-same-checkin",
    "attendance-create-overlap",
    "attendance-create-out-before-in",
    "attendance-create-late-older",
    "attendance-create-older-open",
    "attendance-create-future",
    "attendance-create-bad-employee",
    "attendance-create-missing-employee",
    "attendance-create-iso-T",
    "attendance-create-iso-TZ",
    "attendance-create-iso-offset",
    "attendance-create-fraction",
    "attendance-create-batch-one-bad",
    "attendance-count-after-bad-batch",
    "attendance-load-first",
    "attendance-load-again",
    "attendance-load-bad-row",
    "attendance-open-search",
    "attendance-search-recent",
    "attendance-action-change-private",
    "attendance-manual",
    "inactive-employee-by-barcode",
]
ALONE = [
    "version",
    "authenticate",
    "authenticate-admin",
    "authenticate-apikey",
    "authenticate-lowly",
    "authenticate-wrong-password",
    "apikey-as-password",
    "barcode-nomenclature",
    "barcode-rules",
    "check_access_rights",
    "employee-write-barcode-bad",
    "employee-write-pin-bad",
    "err-access-denied",
    "err-domain-malformed",
    "err-field-domain",
    "err-field-read",
    "err-field-write",
    "err-method",
    "err-missing-required",
    "err-model",
    "err-private-method",
    "err-read-missing",
    "err-unknown-kwarg",
    "err-unlink-missing",
    "err-write-missing",
    "lowly-attendance-create",
    "lowly-employee-barcode",
    "lowly-partner-write",
    "lowly-product-read",
    "partner-archive",
    "partner-by-barcode",
    "partner-by-barcode-none",
    "partner-by-barcodes-in",
    "partner-create",
    "partner-create-dup-barcode",
    "partner-image-clear",
    "partner-image-write-notbase64",
    "partner-image-write-notimage",
    "partner-incremental",
    "partner-with-archived",
    "partner-write",
    "product-after",
    "product-before",
    "product-page",
    "product-search_count",
    "product-template-price-write",
    "product-weighable",
    "uom",
]


def world(version: int) -> Database:
    """What the captured servers held, as far as the requests ask for it."""
    db = Database(f"odoo{version}", version=version)
    with db.transaction():
        db.create("barcode.nomenclature", {"name": "Default Nomenclature"}, number=1)
        db.create("barcode.nomenclature", {"name": "Default GS1 Nomenclature"}, number=2)
        for nomenclature in (1, 2):
            db.create(
                "barcode.rule",
                {
                    "name": "Product Barcodes",
                    "barcode_nomenclature_id": nomenclature,
                    "sequence": 90,
                    "type": "product",
                    "encoding": "any",
                    "pattern": ".*",
                },
            )
        category = db.create("uom.category", {"name": "Weight"})
        for number, name in ((12, "kg"), (13, "g"), (15, "lb"), (1, "Units")):
            db.create(
                "uom.uom", {"name": name, "category_id": category, "factor": 1}, number=number
            )
        food = db.create("product.category", {"name": "Food", "complete_name": "All / Food"})
        db.create("product.template", {"name": "Before", "uom_id": 1}, number=101)
        db.create("product.product", {"product_tmpl_id": 101}, number=109)
        for number in range(1, 25):
            name = "Pears Conference" if number == 2 else f"Produce {number}"
            add_product(db, name, f"W{number:03}", 2.46, food, barcode=f"21{number:05}00000x")
        # The captured variants begin at 110, their templates at 101: the second is no. 102 there.
        for number, (name, badge) in MEMBERS.items():
            db.create(
                "res.partner",
                {"name": name, "barcode": badge, "ref": "M", "email": "a@example.com"},
                number=number,
            )
        for number in (20, 76):
            db.create("res.partner", {"name": f"Partner {number}"}, number=number)
        db.create("res.partner", {"name": "Old", "barcode": "0420000000174"})
        for number, name in EMPLOYEES.items():
            db.create(
                "hr.employee", {"name": name, "barcode": f"0410000000{number:02}3"}, number=number
            )
        db.tables["hr.employee"][11]["barcode"] = "0410000000113"
        # Row 72 is somebody else's, so that the next one is 73 as it was there.
        db.create(
            "hr.attendance",
            {
                "employee_id": 6,
                "check_in": "2026-01-01 08:00:00",
                "check_out": "2026-01-01 09:00:00",
            },
            number=72,
        )
    return db


def capture(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))
    return content


def shape(value: Any) -> Any:
    """Types and keys, not values; False stands for an empty field of any type."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        pair = len(value) == 2 and isinstance(value[0], int) and isinstance(value[1], str)
        return "many2one" if pair else [shape(value[0])] if value else []
    return "empty" if value is False else type(value).__name__


def fits(answered: Any, captured: Any) -> bool:
    """Equal shapes, where an empty field fits any."""
    if "empty" in (answered, captured):
        return True
    if isinstance(answered, dict) and isinstance(captured, dict):
        return answered.keys() == captured.keys() and all(
            fits(answered[key], captured[key]) for key in captured
        )
    if isinstance(answered, list) and isinstance(captured, list):
        return not answered or not captured or fits(answered[0], captured[0])
    return bool(answered == captured)


def hold_against(server: Server, name: str) -> None:
    taken = capture(name)
    answered = json.loads(json.dumps(server.answer(taken["request"])))
    captured = taken["response"]
    assert answered.keys() == captured.keys(), answered
    if "error" in captured:
        for key in ("code", "message"):
            assert answered["error"][key] == captured["error"][key]
        data, real = answered["error"]["data"], captured["error"]["data"]
        assert data.keys() == real.keys()
        for key in ("name", "message", "arguments", "context"):
            assert data[key] == real[key]
    elif isinstance(captured["result"], bool | int):
        assert type(answered["result"]) is type(captured["result"])
        if "authenticate" in name or isinstance(captured["result"], bool):
            assert answered["result"] == captured["result"]
    else:
        assert fits(shape(answered["result"]), shape(captured["result"])), answered["result"]
        assert bool(answered["result"]) == bool(captured["result"]), answered["result"]


@pytest.mark.parametrize("name", ALONE)
def test_answers_as_odoo_18_did(name: str) -> None:
    hold_against(Server(world(18), USERS), f"odoo18-jsonrpc-{name}")


def test_attendances_in_the_order_in_which_they_were_captured() -> None:
    server = Server(world(18), USERS)
    for name in ATTENDANCES:
        hold_against(server, f"odoo18-jsonrpc-{name}")


def test_load_again_is_the_same_row_and_a_bad_row_stores_nothing() -> None:
    server = Server(world(18), USERS)
    request = capture("odoo18-jsonrpc-attendance-load-first")["request"]
    first = server.answer(request)["result"]
    again = server.answer(capture("odoo18-jsonrpc-attendance-load-again")["request"])["result"]
    assert again == first
    before = dict(server.database.tables["hr.attendance"])
    bad = server.answer(capture("odoo18-jsonrpc-attendance-load-bad-row")["request"])["result"]
    real = capture("odoo18-jsonrpc-attendance-load-bad-row")["response"]["result"]
    assert bad == real
    assert server.database.tables["hr.attendance"] == before


def test_an_unknown_database_is_postgresqls_complaint() -> None:
    taken = capture("odoo18-jsonrpc-authenticate-unknown-db")
    answered = Server(world(18), USERS).answer(taken["request"])
    assert answered["error"]["data"]["name"] == taken["response"]["error"]["data"]["name"]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (16, "odoo16-jsonrpc-err-field-read"),
        (16, "odoo16-jsonrpc-partner-create-dup-barcode"),
        (19, "odoo19-jsonrpc-err-field-write"),
        (19, "odoo19-jsonrpc-err-access-denied"),
    ],
)
def test_what_other_versions_say_otherwise(version: int, name: str) -> None:
    users = {"bridge": User(8 if version == 16 else 7, frozenset({"bridge"}))}
    hold_against(Server(world(version), users), name)


def test_a_price_moves_the_variants_write_date_from_17_on_only() -> None:
    for version, moves in ((16, False), (18, True)):
        db = world(version)
        before = db.tables["product.product"][111]["write_date"]
        with db.transaction():
            db.write("product.template", [103], {"list_price": 9.99})
        assert db.value("product.product", 111, "lst_price") == 9.99
        assert (db.tables["product.product"][111]["write_date"] > before) is moves
