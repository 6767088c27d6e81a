"""Everything wrong with a file, told at once: file, table, key, what is expected, nearest word.

The one rule: a person corrects a file once, not once per mistake.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: ``station.toml: [scale.balance] baud: …``."""

    file: Path
    table: str
    key: str
    message: str

    def __str__(self) -> str:
        where = f"[{self.table}] " if self.table else ""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}: {where}{key}{self.message}"


class ConfigError(Exception):
    """A configuration cannot be used. `problems` lists every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def nearest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` or, when nothing is near, the list of what exists."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known here: {', '.join(words)}." if words else ""
