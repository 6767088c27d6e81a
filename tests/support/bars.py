"""A bar code reader of our own: it knows EAN-13 from its definition, not from what it tests."""

from PIL import Image

_L = [
    "0001101",
    "0011001",
    "0010011",
    "0111101",
    "0100011",
    "0110001",
    "0101111",
    "0111011",
    "0110111",
    "0001011",
]
_R = ["".join("10"[int(bit)] for bit in code) for code in _L]
_G = [code[::-1] for code in _R]
_FIRST = [
    "LLLLLL",
    "LLGLGG",
    "LLGGLG",
    "LLGGGL",
    "LGLLGG",
    "LGGLLG",
    "LGGGLL",
    "LGLGLG",
    "LGLGGL",
    "LGGLGL",
]


def read_ean13(picture: Image.Image, row: int) -> str | None:
    """What a scanner's beam along that row of dots reads: thirteen digits, or None.

    Demands the quiet zones (11 and 7 modules), one width of module throughout, and the check digit.
    """
    dots = "".join("1" if picture.getpixel((x, row)) == 0 else "0" for x in range(picture.width))
    left = dots.find("1")
    if left < 0:
        return None
    module = len(dots[left:]) - len(dots[left:].lstrip("1"))
    right = left + 95 * module
    if left < 11 * module or "1" in dots[right : right + 7 * module] or len(dots) < right:
        return None
    if right + 7 * module > len(dots):
        return None
    modules = ""
    for place in range(left, right, module):
        dot = dots[place : place + module]
        if dot.strip(dot[0]):
            return None
        modules += dot[0]
    if (modules[:3], modules[45:50], modules[92:]) != ("101", "01010", "101"):
        return None
    halves = modules[3:45], modules[50:92]
    codes = [half[i : i + 7] for half in halves for i in range(0, 42, 7)]
    parity, digits = "", ""
    for code in codes[:6]:
        kind = "L" if code in _L else "G"
        if code not in _L and code not in _G:
            return None
        parity += kind
        digits += str((_L if kind == "L" else _G).index(code))
    if parity not in _FIRST or any(code not in _R for code in codes[6:]):
        return None
    digits = f"{_FIRST.index(parity)}{digits}" + "".join(str(_R.index(c)) for c in codes[6:])
    weighted = sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(digits))
    return digits if weighted % 10 == 0 else None


def check_digit(twelve: str) -> str:
    weighted = sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(twelve))
    return str(-weighted % 10)
