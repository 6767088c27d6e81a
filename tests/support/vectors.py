"""Captured and composed frames with what they mean: the contract of every decoder."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors"


def load(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return vectors


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def splits(data: bytes) -> list[list[bytes]]:
    """Every way a reader may be handed these bytes: whole, one by one, in two at each place."""
    one_by_one = [data[i : i + 1] for i in range(len(data))]
    return [[data], one_by_one, *([data[:i], data[i:]] for i in range(1, len(data)))]
