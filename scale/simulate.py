"""A Mettler-Toledo 8217 to put on a pty: it plays the scale, on its own reading of the manual.

The one rule: it shares no code with the driver, so that an error in one is not hidden by the same
error in the other. Facts from the Mettler-Toledo DIVA service manual 72191202 and, for `H`, the
Brecknell 67xxU manual.
"""

from collections.abc import Callable
from decimal import Decimal

_STX, _CR = 0x02, 0x0D
_GRAMS_IN_A_POUND = Decimal("453.59237")


class Toledo8217Simulator:
    """Move the world through the attributes; `feed` answers requests as the scale would."""

    def __init__(
        self,
        load: int = 0,
        *,
        unit: str = "kg",
        capacity: int = 15_000,
        parity_in_bit_7: bool = False,
    ) -> None:
        self.load = load
        """Grams on the platter; negative when somebody lifts it."""
        self.unit = unit
        self.capacity = capacity
        self.tare = 0
        """Grams; 0 is no tare."""
        self.zero = 0
        """What the platter weighed, in grams, when it was last set to zero."""
        self.moving = False
        self.silent = False
        self.echoing = False
        self.faults = 0
        """Bits of the self-test byte: 16 ROM, 8 CPU RAM, 4 RAM, 2 NOVRAM."""
        self.parity_in_bit_7 = parity_in_bit_7
        """Send the parity bit along, as it looks through a port opened at 8 bits."""
        self.requests = 0
        self._tare_digits: bytes | None = None
        self._tested = False

    def attach(self, send: Callable[[bytes], None]) -> None:
        """An 8217 never speaks unasked."""

    def feed(self, data: bytes) -> bytes:
        answer = b"".join(self._byte(byte & 0x7F) for byte in data)
        if self.silent:
            return b""
        return bytes(map(_with_parity, answer)) if self.parity_in_bit_7 else answer

    def _byte(self, byte: int) -> bytes:
        letter = bytes([byte])
        if self.echoing and letter != b"F":
            return letter
        if self._tare_digits is not None:
            return self._tare_byte(byte)
        self.requests += 1
        match letter:
            case b"W":
                return self._weight(places=0)
            case b"H":
                return self._weight(places=1)
            case b"Z":
                if not self.moving and not self._outside_zero:
                    self.zero, self.tare = self.load, 0
            case b"C":
                self.tare = 0
            case b"T":
                self._tare_digits = b""
                return b""
            case b"A":
                self._tested = True
                return b""
            case b"B":
                result = (0x40 | self.faults) if self._tested else 0
                self._tested = False
                return _frame(b"?" + bytes([result]))
            case b"E":
                self.echoing = True
                return _frame(b"E")
            case b"F":
                self.echoing = False
                return _frame(b"F")
            case _:
                self.requests -= 1
                return b""
        return self._status()

    def _tare_byte(self, byte: int) -> bytes:
        """`T CR` takes the platter; `T`, five digits and CR is a tare typed in."""
        digits = self._tare_digits or b""
        if byte != _CR:
            self._tare_digits = (digits + bytes([byte]))[:6]
            return b""
        self._tare_digits = None
        if not digits:
            if not self.moving and 0 <= self._gross <= self.capacity:
                self.tare = self._gross
        elif len(digits) == 5 and digits.isdigit():
            typed = int(digits)
            self.tare = typed if self.unit == "kg" else round(typed * _GRAMS_IN_A_POUND / 100)
        return self._status()

    @property
    def _gross(self) -> int:
        return self.load - self.zero

    @property
    def _outside_zero(self) -> bool:
        return abs(self._gross) * 50 > self.capacity  # zero is captured within 2 % of capacity

    @property
    def _under(self) -> bool:
        return self._gross - self.tare < 0

    @property
    def _over(self) -> bool:
        return self._gross > self.capacity

    def _status(self) -> bytes:
        byte = 0x40
        byte |= 0x01 if self.moving else 0
        byte |= 0x02 if self._over else 0
        byte |= 0x04 if self._under else 0
        byte |= 0x08 if self._outside_zero else 0
        byte |= 0x10 if self._gross == 0 else 0
        byte |= 0x20 if self.tare else 0
        return _frame(b"?" + bytes([byte]))

    def _weight(self, places: int) -> bytes:
        if self.moving or self._under or self._over:
            return self._status()
        grams = self._gross - self.tare
        if self.unit == "kg":
            text = f"{Decimal(grams) / 1000:0{6 + places}.{3 + places}f}"
        else:
            text = f"{grams / _GRAMS_IN_A_POUND:0{5 + places}.{2 + places}f}"
        return _frame(text.encode() + (b"N" if self.tare else b""))


def _frame(text: bytes) -> bytes:
    return bytes([_STX]) + text + bytes([_CR])


def _with_parity(byte: int) -> int:
    return byte | 0x80 if byte.bit_count() % 2 else byte
