"""What a printer language is: commands as bytes, and the sense of what the printer sends back.

The one rule: no port, no task, no clock. `printer.spool` sends, waits and decides what becomes of a
label, alike for all languages; a language says which bytes, and what they mean.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from printer.label import Label
from printer.printer import Paper


@dataclass(frozen=True, slots=True)
class Condition:
    """What keeps the printer from printing, and its paper."""

    trouble: str = ""
    """The catalogue key of what a person must mend first; "" when it can print."""
    paper: Paper = Paper.UNKNOWN
    printing: bool | None = None
    """False: nothing that was sent before the question is still to come out. The first look after
    a job comes 0.25 s after its last byte. None: it does not say."""


SILENT = Condition("printer.silent")
"""It did not answer: nothing is known. When this lasts, the connection is given up."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer to one question. It need not say which: the asker knows."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """Said unasked. It holds until the next look."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Finished:
    """One job is out: said once a job, and in their order."""


Heard = Reply | Told | Finished


class Language(ABC):
    """One printer's language, with its settings. `encode` and `preview` run beside the loop."""

    questions: Sequence[bytes] = ()
    """What is sent to learn the condition, each once the one before is answered. None: the printer
    never answers, and labels are sent to it unseen."""
    patience: float = 1.0
    """Seconds the printer has to answer a question."""
    real_time: bool = False
    """It answers questions also while a label comes out. Otherwise it is then left alone until it
    has `Finished`, or should have long ago."""

    def begin(self) -> bytes:
        """A connection was made. Forget what was half heard; return what to send first."""
        return b""

    @abstractmethod
    def feed(self, data: bytes) -> list[Heard]:
        """What the printer said, in any cut. Noise is left out; what is kept has a bound."""

    @abstractmethod
    def conclude(self, answers: Sequence[bytes]) -> Condition:
        """What the answers to `questions` mean. Fewer of them: it fell silent in between, which
        is `SILENT` unless the makers say what silence means; it is never "OK"."""

    @abstractmethod
    def encode(self, label: Label) -> bytes:
        """A whole job, from any state of the printer but the middle of a job.

        It ends with what brings `Finished`, if the language has that; else the job is out when
        a look says that nothing is `printing`, or when its time is over and all is well. Raises
        `NotPrinted` (sure) for a label that cannot be printed.
        """

    @abstractmethod
    def mend(self) -> bytes:
        """Leads the printer out of a job cut short anywhere; harmless after a whole one."""

    @abstractmethod
    def preview(self, label: Label) -> bytes:
        """The very picture that the job prints, as PNG. Raises `NotPrinted` as `encode` does."""
