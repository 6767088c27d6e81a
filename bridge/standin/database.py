"""The records of a stand-in Odoo, kept in memory, with the ORM's ways of reading and changing them.

The one rule: a call is one transaction. Whatever is refused leaves nothing behind.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bridge.standin import images
from bridge.standin.domains import compile_domain, mentions
from bridge.standin.fields import FORMAT, Fault, Field, given_out, taken_in, validation
from bridge.standin.models import MODELS, Model

Row = dict[str, Any]
_ID = Field("integer")
_DATE = Field("datetime")


USERS_ZONE = ZoneInfo("Europe/Paris")


def utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Database:
    """`version`: the Odoo whose ways are followed, 16 to 19. `now` stamps `write_date`."""

    def __init__(
        self, name: str, *, version: int = 18, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.name = name
        self.version = version
        self.now = now
        self.tables: dict[str, dict[int, Row]] = {model: {} for model in MODELS}
        self.external: dict[str, tuple[str, int]] = {}
        self.zone = USERS_ZONE
        """Of the call under way: what times in texts and in `load` mean."""
        self.changes = 0
        """How many entries were changed by what was committed."""
        self._undo: list[Callable[[], object]] | None = None

    # --- transactions and keeping ---------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        outer, undo = self._undo, list[Callable[[], object]]()
        self._undo = undo
        try:
            yield
        except BaseException:
            for step in reversed(undo):
                step()
            raise
        else:
            if outer is not None:
                outer.extend(undo)
            else:
                self.changes += len(undo)
        finally:
            self._undo = outer

    def _set(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Change one entry, so that it can be undone; None removes it."""
        assert self._undo is not None
        before = table.get(key)
        if before is None:
            self._undo.append(lambda: table.pop(key, None))
        else:
            self._undo.append(lambda: table.__setitem__(key, before))
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def save(self, file: Path) -> None:
        """Write everything to a file, whole or not at all."""
        part = file.with_suffix(".part")
        content = {"tables": self.tables, "external": self.external}
        part.write_text(json.dumps(content, default=datetime.isoformat), "utf-8")
        part.replace(file)

    def restore(self, file: Path) -> None:
        """Read what `save` wrote in place of what is here."""
        content = json.loads(file.read_text("utf-8"))
        for model, rows in content["tables"].items():
            dates = [
                "write_date",
                *(n for n, f in MODELS[model].fields.items() if f.kind == "datetime"),
            ]
            for row in rows.values():
                for name in dates:
                    row[name] = datetime.fromisoformat(row[name]) if row[name] else None
            self.tables[model] = {int(number): row for number, row in rows.items()}
        self.external = {key: (model, row) for key, (model, row) in content["external"].items()}

    # --- reading --------------------------------------------------------------------------

    def model(self, name: str) -> Model:
        if name not in MODELS:
            raise Fault("odoo.exceptions.UserError", f"Object {name} doesn't exist")
        return MODELS[name]

    def field(self, model: str, name: str) -> Field | None:
        if name == "id":
            return _ID
        if name == "write_date":
            return _DATE
        return MODELS[model].fields.get(name)

    def value(self, model: str, record: int, path: str) -> Any:
        """The stored value behind a field or a dotted path; None when a link is empty."""
        name, _, rest = path.partition(".")
        if name == "id":
            return record
        field = self.field(model, name)
        assert field is not None
        if field.related:
            return self.value(model, record, field.related)
        value = self.tables[model][record].get(name)
        if not rest:
            return value
        return None if value is None else self.value(field.relation, value, rest)

    def others(self, model: str, record: int, name: str, value: Any) -> list[int]:
        return [
            number
            for number, row in self.tables[model].items()
            if number != record and row.get(name) == value
        ]

    def search(
        self,
        model: str,
        domain: list[Any],
        *,
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
        active_test: bool = True,
    ) -> list[int]:
        self._check_paths(model, domain)
        if active_test and "active" in self.model(model).fields and not mentions(domain, "active"):
            domain = [*domain, ["active", "=", True]]
        test = compile_domain(domain, self.version)
        found = [n for n in self.tables[model] if test(partial(self.value, model, n))]
        for term in reversed((order or self.model(model).order).split(",")):
            name, _, way = term.strip().partition(" ")
            if self.field(model, name) is None:
                raise ValueError(f"Invalid field '{name}' on model '{model}'")
            keys = {number: _key(self.value(model, number, name)) for number in found}
            found.sort(key=keys.__getitem__, reverse=way == "desc")
        return found[offset:][: limit or None]

    def _check_paths(self, model: str, domain: list[Any]) -> None:
        for term in domain:
            if isinstance(term, str):
                continue
            path, _, _ = term
            at = model
            for name in path.split("."):
                field = self.field(at, name)
                if field is None:
                    raise ValueError(f"Invalid field {at}.{name} in leaf {tuple(term)!r}")
                at = field.relation

    def read(
        self, model: str, ids: list[int], names: list[str] | None, *, bin_size: bool = False
    ) -> list[Row]:
        asked = ["id", *(names or [*self.model(model).fields, "write_date"])]
        for name in asked:
            if self.field(model, name) is None:
                raise ValueError(f"Invalid field '{name}' on model '{model}'")
        return [
            {name: self._read(model, number, name, bin_size) for name in dict.fromkeys(asked)}
            for number in ids
            if number in self.tables[model]
        ]

    def _read(self, model: str, record: int, name: str, bin_size: bool) -> Any:
        field = self.field(model, name)
        assert field is not None
        if field.kind == "one2many":
            return self.search(field.relation, [[field.inverse, "=", record]])
        value = self.value(model, record, "image_1920" if field.kind == "image" else name)
        if field.kind == "many2one" and value is not None:
            return [value, self.display_name(field.relation, value)]
        if field.kind == "image" and value is not None:
            scaled = images.scaled(value, field.size) if field.size else value
            return images.human_size(scaled) if bin_size else scaled
        return given_out(field, value)

    def display_name(self, model: str, record: int) -> str:
        row = self.tables[model][record]
        return str(row.get("complete_name") or row.get("name") or f"{model},{record}")

    # --- changing -------------------------------------------------------------------------

    def create(self, model: str, values: Mapping[str, Any], *, number: int | None = None) -> int:
        for name in MODELS[model].needs:
            if name not in values:
                raise KeyError(name)
        record = number or max(self.tables[model], default=0) + 1
        row: Row = {"write_date": self.now()}
        for name, field in MODELS[model].fields.items():
            if not field.related and field.kind != "one2many" and not field.size:
                row[name] = field.default
        self._set(self.tables[model], record, row)
        self._change(model, record, values)
        return record

    def write(self, model: str, ids: list[int], values: Mapping[str, Any]) -> None:
        self._must_exist(model, ids)
        for record in ids:
            self._change(model, record, values)

    def unlink(self, model: str, ids: list[int]) -> None:
        self._must_exist(model, ids)
        for record in ids:
            self._set(self.tables[model], record, None)
            for name in [n for n, target in self.external.items() if target == (model, record)]:
                self._set(self.external, name, None)

    def _must_exist(self, model: str, ids: list[int]) -> None:
        for record in ids:
            if record not in self.tables[model]:
                raise Fault(
                    "odoo.exceptions.MissingError",
                    "Record does not exist or has been deleted.\n"
                    f"(Record: {model}({record},), User: 8)",
                )

    def _change(self, model: str, record: int, values: Mapping[str, Any]) -> None:
        row = dict(self.tables[model][record])
        for name, value in values.items():
            field = self.field(model, name)
            if field is None or name in ("id", "write_date"):
                if self.version >= 19:
                    raise KeyError(name)
                raise ValueError(f"Invalid field '{name}' on model '{model}'")
            if field.related:
                link, _, there = field.related.partition(".")
                self.write(field_relation(model, link), [row[link]], {there: value})
            elif field.kind == "image":
                row["image_1920"] = images.accepted(value) if value else None
            else:
                row[name] = taken_in(field, value)
        row["write_date"] = self.now()
        self._set(self.tables[model], record, row)
        self._check(model, record, row)
        if model == "product.template" and self.version >= 17:
            # From 17 on a variant's date moves with its template's; in 16 it does not.
            for variant, its in list(self.tables["product.product"].items()):
                if its["product_tmpl_id"] == record:
                    moved = {**its, "write_date": row["write_date"]}
                    self._set(self.tables["product.product"], variant, moved)

    def _check(self, model: str, record: int, row: Row) -> None:
        label = MODELS[model].label
        for name, field in MODELS[model].fields.items():
            value = row.get(name)
            if field.required and value is None:
                raise validation(
                    "The operation cannot be completed:\n"
                    "- Create/update: a mandatory field is not set.\n"
                    "- Delete: another model requires the record being deleted."
                    " If possible, archive it instead.\n\n"
                    f"Model: {label} ({model})\nField: {field.label} ({name})\n"
                )
            if field.kind == "many2one" and value is not None and not field.related:
                if value in self.tables[field.relation]:
                    continue
                if self.version >= 19:
                    self._must_exist(field.relation, [value])
                raise validation(
                    "The operation cannot be completed: another model requires the record being"
                    " deleted. If possible, archive it instead.\n\n"
                    f"Model: {label} ({model})\n"
                    f"Constraint: {model.replace('.', '_')}_{name}_fkey\n"
                )
        check = MODELS[model].check
        if check is not None:
            check(self, record, row)

    def load(
        self, model: str, names: list[str], rows: list[list[Any]], *, active_test: bool = True
    ) -> dict[str, Any]:
        """Import with external ids: change what is there, make what is not; all or nothing.

        Times are taken to be in the zone of the user or the context, not in UTC. Archived records
        cannot be linked to by their number, but with `active_test` off.
        """
        try:
            with self.transaction():
                ids = self._load_rows(model, names, rows, active_test)
        except _NothingLoaded as nothing:
            return {"ids": False, "messages": nothing.messages, "nextrow": 0}
        return {"ids": ids, "messages": [], "nextrow": 0}

    def _load_rows(
        self, model: str, names: list[str], rows: list[list[Any]], active_test: bool
    ) -> list[int]:
        ids, messages = [], []
        for number, row in enumerate(rows):
            try:
                ids.append(self._load_row(model, dict(zip(names, row, strict=True)), active_test))
            except (Fault, ValueError, KeyError) as error:
                messages.append(_message(number, error))
        if messages:
            raise _NothingLoaded(messages)
        return ids

    def _linked(self, model: str, link: str, record: int, active_test: bool) -> int:
        there = self.search(
            field_relation(model, link), [["id", "=", record]], active_test=active_test
        )
        if not there:
            label = MODELS[model].fields[link].label
            raise ValueError(
                f"No matching record found for database id '{record}' in field '{label}'"
            )
        return record

    def _in_utc(self, text: str) -> str:
        local = datetime.strptime(text, FORMAT).replace(tzinfo=self.zone)
        return local.astimezone(UTC).strftime(FORMAT)

    def _load_row(self, model: str, row: dict[str, Any], active_test: bool) -> int:
        external = row.pop("id", "")
        values: dict[str, Any] = {}
        for name, value in row.items():
            plain = name.removesuffix("/.id").removesuffix("/id")
            if value == "":
                values[plain] = False
            elif name.endswith("/id"):
                values[plain] = self.external[value][1]
            elif name.endswith("/.id"):
                values[plain] = self._linked(model, plain, int(value), active_test)
            elif (field := self.field(model, plain)) is not None and field.kind == "datetime":
                values[plain] = self._in_utc(value)
            else:
                values[plain] = value
        known = self.external.get(external) if external else None
        if known is not None:
            self.write(model, [known[1]], values)
            return known[1]
        record = self.create(model, values)
        if external:
            self._set(self.external, external, (model, record))
        return record


def field_relation(model: str, link: str) -> str:
    return MODELS[model].fields[link].relation


class _NothingLoaded(Exception):
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        super().__init__()
        self.messages = messages


def _message(number: int, error: Exception) -> dict[str, Any]:
    return {
        "rows": {"from": number, "to": number},
        "record": number,
        "type": "error",
        "message": str(error),
    }


def _key(value: Any) -> tuple[bool, Any]:
    """Empty values come last, as PostgreSQL sorts them."""
    return (value is None, "" if value is None else value)
