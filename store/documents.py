"""Reading back what an earlier or a later version of this program stored as JSON.

The one rule: what a model does not understand is not there. It is told in the log and asked for
again or left out; it never ends the program, because the same row would end it at each start.
"""

import logging
from typing import TypeVar

from pydantic import ValidationError

from mqtt.messages import Message

M = TypeVar("M", bound=Message)

log = logging.getLogger(__name__)


def understood(model: type[M], body: str | bytes, name: str) -> M | None:
    """`body` as a `model`; None, and a line in the log, when it is not one.

    `name` says in the log what it was; it must hold nothing personal.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        log.warning("store: %s is not understood and counts as not there: %s", name, brief(error))
        return None


def brief(error: ValidationError) -> str:
    """Where and why, without the values: they may be personal."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
        for detail in error.errors(include_input=False, include_url=False)[:3]
    )
