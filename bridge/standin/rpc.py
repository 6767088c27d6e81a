"""JSON-RPC as Odoo answers it: who may do what, and the shape of every result and error.

The one rule: HTTP says 200 whatever happens; the class of what went wrong is in `error.data.name`,
`error.code` is 200 up to version 18 and 0 in 19, and a method that returns None has no `result`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from bridge.standin.database import USERS_ZONE, Database
from bridge.standin.fields import Fault

CHANGING = frozenset({"create", "write", "unlink", "load"})


@dataclass(frozen=True, slots=True)
class User:
    """`keeper`: may write, and read what is for some groups only. `passwords` may hold API keys."""

    id: int
    passwords: frozenset[str] = field(repr=False)
    keeper: bool = True


class Server:
    """Answers bodies of ``POST /jsonrpc``."""

    def __init__(self, database: Database, users: Mapping[str, User]) -> None:
        self.database = database
        self.users = users
        self.calls: dict[str, int] = {}

    def answer(self, request: Any) -> dict[str, Any]:
        """One request, decoded, to one response, to be encoded."""
        response: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
        try:
            parameters = request["params"]
            result = self._dispatch(parameters["service"], parameters["method"], parameters["args"])
        except Fault as fault:
            response["error"] = self._error(fault.name, fault.message)
        except Exception as error:  # noqa: BLE001 - the real server tells every exception
            name = f"builtins.{type(error).__name__}"
            text = str(error.args[0]) if error.args else ""
            response["error"] = self._error(name, text)
        else:
            if result is not None:
                response["result"] = result
        return response

    def _error(self, name: str, message: str) -> dict[str, Any]:
        return {
            "code": 0 if self.database.version >= 19 else 200,
            "message": "Odoo Server Error",
            "data": {
                "name": name,
                "debug": f"Traceback (most recent call last):\n{name}: {message}\n",
                "message": message,
                "arguments": [message],
                "context": {},
            },
        }

    def _dispatch(self, service: str, method: str, args: list[Any]) -> Any:
        match service, method:
            case "common", "version":
                version = self.database.version
                return {
                    "server_version": f"{version}.0",
                    "server_version_info": [version, 0, 0, "final", 0, ""],
                    "server_serie": f"{version}.0",
                    "protocol_version": 1,
                }
            case "common", "authenticate" | "login":
                self._check_database(args[0])
                user = self.users.get(args[1])
                return user.id if user is not None and args[2] in user.passwords else False
            case "db", "list":
                return [self.database.name]
            case "object", "execute_kw":
                db, uid, password, model, name, *rest = args
                self._check_database(db)
                return self._execute(self._user(uid, password), model, name, *rest)
        raise Fault("builtins.NameError", f"Method not available {service}.{method}")

    def _check_database(self, name: str) -> None:
        if name != self.database.name:
            raise Fault(
                "psycopg2.OperationalError",
                f'connection to server failed: FATAL:  database "{name}" does not exist\n',
            )

    def _user(self, uid: int, password: str) -> User:
        for user in self.users.values():
            if user.id == uid and password in user.passwords:
                return user
        raise Fault("odoo.exceptions.AccessDenied", "Access Denied")

    def _execute(
        self,
        user: User,
        model: str,
        method: str,
        args: list[Any],
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        self.database.model(model)
        if method.startswith("_"):
            raise Fault(
                "odoo.exceptions.AccessError",
                f"Private methods (such as '{model}.{method}') cannot be called remotely.",
            )
        run = getattr(_Methods, method, None)
        if run is None:
            raise AttributeError(f"The method '{model}.{method}' does not exist")
        named = dict(keywords or {})
        context = named.pop("context", {})
        self.calls[f"{model}.{method}"] = self.calls.get(f"{model}.{method}", 0) + 1
        self.database.zone = ZoneInfo(context["tz"]) if context.get("tz") else USERS_ZONE
        with self.database.transaction():
            return run(_Methods(self.database, user, model, context), *args, **named)


class _Methods:
    """What can be called on any model: one call's database, user, model and context."""

    def __init__(
        self, database: Database, user: User, model: str, context: Mapping[str, Any]
    ) -> None:
        self._db = database
        self._user = user
        self._model = model
        self._context = context

    def search(
        self,
        domain: list[Any],
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
    ) -> list[int]:
        return self._db.search(
            self._model,
            domain,
            offset=offset,
            limit=limit,
            order=order,
            active_test=self._context.get("active_test", True),
        )

    def search_count(self, domain: list[Any]) -> int:
        return len(self.search(domain))

    def read(self, ids: int | list[int], fields: list[str] | None = None) -> list[dict[str, Any]]:
        self._may_read(fields)
        return self._db.read(
            self._model, _listed(ids), fields, bin_size=bool(self._context.get("bin_size"))
        )

    def search_read(
        self,
        domain: list[Any] | None = None,
        fields: list[str] | None = None,
        offset: int = 0,
        limit: int | None = None,
        order: str | None = None,
        **others: Any,
    ) -> list[dict[str, Any]]:
        for name in others:
            raise TypeError(f"BaseModel._read_format() got an unexpected keyword argument '{name}'")
        return self.read(self.search(domain or [], offset, limit, order), fields)

    def create(self, values: dict[str, Any] | list[dict[str, Any]]) -> int | list[int]:
        self._may_change("create")
        if isinstance(values, dict):
            return self._db.create(self._model, values)
        return [self._db.create(self._model, one) for one in values]

    def write(self, ids: int | list[int], values: dict[str, Any]) -> bool:
        self._may_change("modify")
        self._db.write(self._model, _listed(ids), values)
        return True

    def unlink(self, ids: int | list[int]) -> bool:
        self._may_change("delete")
        self._db.unlink(self._model, _listed(ids))
        return True

    def load(self, fields: list[str], rows: list[list[Any]]) -> dict[str, Any]:
        self._may_change("create")
        active_test = self._context.get("active_test", True)
        return self._db.load(self._model, fields, rows, active_test=active_test)

    def check_access_rights(self, operation: str, raise_exception: bool = True) -> bool:
        if operation == "read" or self._user.keeper:
            return True
        if raise_exception:
            self._may_change(operation)
        return False

    def _may_read(self, fields: list[str] | None) -> None:
        secret = [
            name
            for name in fields or []
            if (field := self._db.field(self._model, name)) is not None and field.secret
        ]
        if secret and not self._user.keeper:
            label = self._db.model(self._model).label
            group = "'Employees / Officer: Manage all employees'"
            raise Fault(
                "odoo.exceptions.AccessError",
                f'You do not have enough rights to access the fields "{",".join(secret)}" on'
                f" {label} ({self._model}). Please contact your system administrator.\n\n"
                f"Operation: read\nUser: {self._user.id}\nFields:\n"
                + "\n".join(f"- {name} (allowed for groups {group})" for name in secret),
            )

    def _may_change(self, operation: str) -> None:
        if self._user.keeper:
            return
        model = self._db.model(self._model)
        groups = "".join(f"\t- {group}\n" for group in model.keepers)
        raise Fault(
            "odoo.exceptions.AccessError",
            f"You are not allowed to {operation} '{model.label}' ({self._model}) records.\n\n"
            f"This operation is allowed for the following groups:\n{groups}\n"
            "Contact your administrator to request access if necessary.",
        )


def _listed(ids: int | list[int]) -> list[int]:
    return [ids] if isinstance(ids, int) else ids
