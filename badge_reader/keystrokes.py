"""Key presses in, scanned text out: the language of a reader that pretends to be a keyboard.

The one rule: a scan that lost a key is not a scan. When the kernel says that it dropped events,
everything up to the end of that scan is thrown away, for the rest of a number is another number.

Facts: linux/input-event-codes.h; a control character is Ctrl and a letter (`Ctrl+]` is GS1's
separator); readers in "ALT mode" hold Alt and type each character's number on the keypad.
"""

import re
import struct
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from badge_reader.keymap import ALONE, DEAD, KEYPAD, LAYOUTS, NOTHING

EV_SYN, EV_KEY = 0, 1
SYN_REPORT, SYN_DROPPED = 0, 3

KEY_TAB, KEY_ENTER, KEY_KPENTER = 15, 28, 96
_TERMINATORS = {KEY_TAB, KEY_ENTER, KEY_KPENTER}
_SHIFTS, _CTRLS, _ALT, _ALTGR, _CAPS = {42, 54}, {29, 97}, 56, 100, 58
_MODIFIERS = _SHIFTS | _CTRLS | {_ALT, _ALTGR}
_LONGEST = 4096
# A number, or a UID of 4, 5, 7 or 10 bytes in hexadecimal.
_IDENTITY = re.compile("[0-9]+|([0-9A-Fa-f]{2}){4,5}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20}")

KeyEvent = tuple[int, int, int]
"""Type, code, value, as in the kernel's `struct input_event`."""

_INPUT_EVENT = struct.Struct("=qqHHi")


class Keystrokes:
    """Turns one reader's events into texts. Sans-I/O: whoever feeds it calls `flush` when idle."""

    def __init__(self, layout: str = "us") -> None:
        self._keys = _keys_of(layout)
        self._text: list[str] = []
        self._held: set[int] = set()
        self._caps = False
        self._number = ""
        self._dead = ""
        self._spoilt = False

    @property
    def pending(self) -> bool:
        """A scan has begun: `flush` it when no key comes for a while."""
        return bool(self._text or self._dead or self._number or self._spoilt)

    def feed(self, type_: int, code: int, value: int) -> str | None:
        """Take one event; the scanned text if it ended one."""
        if type_ == EV_SYN and code == SYN_DROPPED:
            self._spoil()
        elif type_ != EV_KEY:
            return None
        elif code in _MODIFIERS:
            return self._modifier(code, value)
        elif value == 1:  # 0 is the key coming up, 2 is auto-repeat
            return self._press(code)
        return None

    def flush(self) -> str | None:
        """The reader has been quiet: what was typed, if that was a whole scan."""
        text = "".join(self._text) + ALONE.get(self._dead, "")
        # A number still open is a character that broke off: it is not the next scan's first.
        whole = bool(text) and not self._number and not self._spoilt
        self._text.clear()
        self._dead, self._number, self._spoilt = "", "", False
        return text if whole else None

    def _spoil(self) -> None:
        self._text.clear()
        self._held.clear()
        self._number = self._dead = ""
        self._spoilt = True

    def _modifier(self, code: int, value: int) -> str | None:
        if value:
            self._held.add(code)
            return None
        self._held.discard(code)
        if code == _ALT and self._number:
            number, self._number = self._number, ""
            return self._typed(_numbered(number))
        return None

    def _press(self, code: int) -> str | None:
        if code in _TERMINATORS:
            return self.flush()
        if code == _CAPS:
            self._caps = not self._caps
        elif _ALT in self._held and code in KEYPAD:
            self._number += KEYPAD[code]
            if len(self._number) > _LONGEST:
                self._spoil()
        elif code in self._keys:
            return self._typed(self._char(self._keys[code]))
        return None

    def _char(self, levels: str) -> str:
        level = 2 if _ALTGR in self._held else 0
        plain, shifted = levels[level], levels[level + 1]
        letter = plain != shifted and plain.upper() == shifted
        char = shifted if bool(self._held & _SHIFTS) ^ (self._caps and letter) else plain
        if self._held & _CTRLS:
            upper = char.upper()
            return chr(ord(upper) & 0x1F) if "@" <= upper <= "_" else ""
        return char

    def _typed(self, char: str) -> str | None:
        if char in ("\r", "\n", "\t"):
            return self.flush()
        if not char or char == NOTHING:
            return None
        dead, self._dead = self._dead, ""
        if dead:
            char = ALONE.get(dead, "") if char == " " else _accented(dead, char)
        elif char in DEAD:
            self._dead = char
            return None
        self._text.append(char)
        if len(self._text) > _LONGEST:
            self._spoil()
        return None


def _keys_of(layout: str) -> dict[int, str]:
    try:
        return LAYOUTS[layout]
    except KeyError:
        raise ValueError(f"layout {layout!r} is none of {', '.join(LAYOUTS)}") from None


def _accented(dead: str, char: str) -> str:
    if char in DEAD:
        return ALONE.get(char, "")
    letter = unicodedata.normalize("NFC", char + DEAD[dead])
    return letter if len(letter) == 1 else ALONE.get(dead, "") + char  # there is no such letter


def _numbered(number: str) -> str:
    """The character of an ALT mode number; one with a leading zero is of Windows' code page."""
    value = int(number[-5:])
    if not 0 < value < 256:
        return ""
    return bytes([value]).decode("cp1252" if number[0] == "0" else "cp437", "ignore")


def press(
    text: str, layout: str = "us", *, end: int | None = KEY_ENTER, alt_mode: bool = False
) -> list[KeyEvent]:
    """The events of a reader set to `layout` that types `text`, each followed by its report.

    Raises ValueError for a character that this layout has no key for.
    """
    keys = _keys_of(layout)
    # The last key found types it: any rather than the keypad, with as few modifiers as it can.
    by_char = {keys[code][at]: (code, at) for code in keys for at in (3, 2, 1, 0)}
    digits = {digit: code for code, digit in KEYPAD.items()}
    events: list[KeyEvent] = []
    for char in text:
        if alt_mode:
            held, codes = [_ALT], [digits[digit] for digit in f"{char.encode('cp1252')[0]:04d}"]
        else:
            held, code = _chord(char, by_char)
            codes = [code]
        events += [(EV_KEY, modifier, 1) for modifier in held]
        events += [(EV_KEY, code, value) for code in codes for value in (1, 0)]
        events += [(EV_KEY, modifier, 0) for modifier in held]
    if end is not None:
        events += [(EV_KEY, end, 1), (EV_KEY, end, 0)]
    return [item for event in events for item in (event, (EV_SYN, SYN_REPORT, 0))]


def _chord(char: str, by_char: Mapping[str, tuple[int, int]]) -> tuple[list[int], int]:
    control = char < " "
    wanted = chr(ord(char) | 0x40) if control else char
    if wanted not in by_char or wanted in DEAD:
        raise ValueError(f"no key of this layout types {char!r}")
    code, level = by_char[wanted]
    held = [29] if control else []
    held += [_ALTGR] if level >= 2 else []
    held += [42] if level % 2 else []
    return held, code


def unpack(data: bytes) -> list[KeyEvent]:
    """The events in a run of 24-byte `struct input_event`; raises ValueError for part of one."""
    if len(data) % _INPUT_EVENT.size:
        raise ValueError(f"input events are {_INPUT_EVENT.size} bytes each, not {len(data)} in all")
    return [(type_, code, value) for _, _, type_, code, value in _INPUT_EVENT.iter_unpack(data)]


def decode(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What key events mean (`edged decode hid-wedge`): `events` or `hex`, and `config.layout`.

    `texts`: all scans, when there are several. `mismatch` is true when only another layout makes a
    number, or a card's UID, of them: `layouts` names those.
    """
    if "events" in vector:
        events = [_event(event) for event in vector["events"]]
    elif "hex" in vector:
        events = unpack(bytes.fromhex(vector["hex"]))
    else:
        raise ValueError("give the key events as events or hex")
    layout = str(dict(vector.get("config") or {}).get("layout", "us")).lower().replace("_", "-")
    layout = "fr" if layout == "fr-azerty" else layout
    texts = _scans(events, layout)
    if not texts:
        dropped = any(event[:2] == (EV_SYN, SYN_DROPPED) for event in events)
        return {"kind": "malformed", "error": "dropped"} if dropped else {"kind": "incomplete"}
    fits = [name for name in LAYOUTS if _is_identity(_scans(events, name))]
    found: dict[str, Any] = {"kind": "scan", "text": texts[-1], "events": len(texts)}
    if len(texts) > 1:
        found["texts"] = texts
    found["mismatch"] = layout not in fits and bool(fits)
    return found | ({"layouts": fits} if found["mismatch"] else {})


def _event(given: Any) -> KeyEvent:
    if not (isinstance(given, Sequence) and len(given) == 3 and {int} == {type(n) for n in given}):
        raise ValueError(f"events: [type, code, value] expected, not {given!r:.40}")
    type_, code, value = given
    return type_, code, value


def _scans(events: Iterable[KeyEvent], layout: str) -> list[str]:
    keystrokes = Keystrokes(layout)
    texts = [keystrokes.feed(*event) for event in events]
    return [text for text in (*texts, keystrokes.flush()) if text]


def _is_identity(texts: list[str]) -> bool:
    return bool(texts) and all(_IDENTITY.fullmatch(text) for text in texts)
