"""What each key of a keyboard means, layout by layout.

A wedge sends the codes that its *programmed* layout gives a digit; the layout of the machine it is
plugged into plays no part. Facts: xkeyboard-config 2.35.1 over the kernel's key codes.

A layout is four rows, one a level (plain, Shift, AltGr, Shift+AltGr), each with one character for
each of `KEYS`. ∅ is nothing; a letter in a circle is a dead key (`DEAD`), which changes the
character after it.
"""

KEYS = (*range(2, 14), *range(16, 28), *range(30, 42), *range(43, 54), 86)
"""The kernel's key codes in the order of the rows below."""

KEYPAD = {
    71: "7", 72: "8", 73: "9", 75: "4", 76: "5", 77: "6", 79: "1", 80: "2", 81: "3", 82: "0",
}  # fmt: skip
"""Keypad digits, which no layout changes."""

EVERYWHERE = KEYPAD | {55: "*", 57: " ", 74: "-", 78: "+", 83: ".", 98: "/", 117: "=", 121: "."}
"""Keys that mean the same in (almost) every layout, at every level."""

DEAD = {
    "ⓐ": "\u0301", "ⓑ": "\u0323", "ⓒ": "\u0302", "ⓓ": "\u0308", "ⓖ": "\u0300", "ⓗ": "\u0309",
    "ⓛ": "\u0327", "ⓜ": "\u0331", "ⓝ": "\u031b", "ⓞ": "\u0307", "ⓠ": "\u0328", "ⓡ": "\u030a",
    "ⓣ": "\u0303", "ⓤ": "\u030b", "ⓥ": "\u0306", "ⓧ": "\u030c", "ⓨ": "\u0304",
}  # fmt: skip
"""Dead keys as the combining characters of Unicode."""

ALONE = {"ⓐ": "´", "ⓒ": "^", "ⓓ": "¨", "ⓖ": "`", "ⓛ": "¸", "ⓣ": "~"}
"""What a dead key followed by a space types."""

NOTHING = "∅"

# fmt: off
_ROWS = {
    "us": (
        "1234567890-=qwertyuiop[]asdfghjkl;'`\\zxcvbnm,./<",
        "!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:\"~|ZXCVBNM<>?>",
        "∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅|",
        "∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅¦",
    ),
    "fr": (
        "&é\"'(-è_çà)=azertyuiopⓒ$qsdfghjklmù²*wxcvbn,;:!<",
        "1234567890°+AZERTYUIOPⓓ£QSDFGHJKLM%~µWXCVBN?./§>",
        "¹~#{[|`\\^@]}æ«€¶ŧ←↓→øþⓓ¤@ßðđŋħⓗĸłµⓒ¬ⓖł»¢„“”ⓐ•·ⓑ|",
        "¡⅛£$⅜⅝⅞™±°¿ⓠÆ<¢®Ŧ¥↑ıØÞⓡⓨΩẞÐªŊĦⓝ&Łºⓧ¬ⓥŁ>©‚‘’ⓤ×÷ⓞ¦",
    ),
    "be": (
        "&é\"'(§è!çà)-azertyuiopⓒ$qsdfghjklmù²µwxcvbn,;:=<",
        "1234567890°_AZERTYUIOPⓓ*QSDFGHJKLM%³£WXCVBN?./+>",
        "|@#¼½^{[{}\\ⓛ@ſ€¶ŧ←↓→œþ[]æßðđŋħⓗĸłⓐⓐ¬ⓖ«»¢„“”ⓛ•·ⓣ\\",
        "¡⅛£$⅜⅝⅞™±°¿ⓠΩ§¢®Ŧ¥↑ıŒÞⓡⓨÆẞÐªŊĦⓝ&Łⓤⓧ¬ⓥ<>©‚‘’º×÷ⓞ\\",
    ),
    "de": (
        "1234567890ßⓐqwertzuiopü+asdfghjklöäⓒ#yxcvbnm,.-<",
        "!\"§$%&/()=?ⓖQWERTZUIOPÜ*ASDFGHJKLÖÄ°'YXCVBNM;:_>",
        "¹²³¼½¬{[]}\\ⓛ@ſ€¶ŧ←↓→øþⓓ~æſðđŋħⓑĸłⓤⓒ′’»«¢„“”µ·…–|",
        "¡⅛£¤⅜⅝⅞™±°¿ⓠΩ§€®Ŧ¥↑ıØÞⓡ¯ÆẞÐªŊĦⓞ&Łⓑⓧ″ⓥ›‹©‚‘’º×÷—ⓜ",
    ),
    "es": (
        "1234567890'¡qwertyuiopⓖ+asdfghjklñⓐºçzxcvbnm,.-<",
        "!\"·$%&/()=?¿QWERTYUIOPⓒ*ASDFGHJKLÑⓓªÇZXCVBNM;:_>",
        "|@#~½¬{[]}\\ⓛ@ſ€¶ŧ←↓→øþ[]æßðđŋħⓗĸłⓣ{\\}«»¢„“”µ•·ⓑ|",
        "¡⅛£$⅜⅝⅞™±°¿ⓠΩ§¢®Ŧ¥↑ıØÞⓡⓨÆẞÐªŊĦⓝ&Łⓤⓧ\\ⓥ<>©‚‘’º×÷ⓞ¦",
    ),
    "gb": (
        "1234567890-=qwertyuiop[]asdfghjkl;'`#zxcvbnm,./\\",
        "!\"£$%^&*()_+QWERTYUIOP{}ASDFGHJKL:@¬~ZXCVBNM<>?|",
        "¹²³€½¾{[]}\\ⓛ@ſe¶ŧ←↓→øþⓓⓣæßðđŋħⓗĸłⓐⓒ|ⓖ«»¢„“”µ•·ⓑ|",
        "¡⅛£¼⅜⅝⅞™±°¿ⓠΩ§E®Ŧ¥↑ıØÞⓡⓨÆẞÐªŊĦⓝ&Łⓤⓧ|ⓥ<>©‚‘’º×÷ⓞ¦",
    ),
    "it": (
        "1234567890'ìqwertyuiopè+asdfghjklòà\\ùzxcvbnm,.-<",
        "!\"£$%&/()=?^QWERTYUIOPé*ASDFGHJKLç°|§ZXCVBNM;:_>",
        "¹²³¼½¬{[]}`~@ſ€¶ŧ←↓→øþ[]æßðđŋħⓗĸł@#¬ⓖ«»¢“”ñµⓐ·ⓨ«",
        "¡ⓤⓣ⅛⅜⅝⅞™±ⓠ¿ⓒΩ§¢®Ŧ¥↑ıØÞ{}ÆẞÐªŊĦⓝ&Łⓛⓡ¦ⓥ<>©‘’Ñº×ⓓ÷»",
    ),
    "ch-fr": (
        "1234567890'ⓒqwertzuiopèⓓasdfghjkléà§$yxcvbnm,.-<",
        "+\"*ç%&/()=?ⓖQWERTZUIOPü!ASDFGHJKLöä°£YXCVBNM;:_>",
        "|@#¼½¬|¢]}ⓐⓣ@ſ€¶ŧ←↓→œþ[]æßðđŋħⓗĸłⓐ{¬}«»¢„“”µ•·ⓑ\\",
        "¡⅛£$⅜⅝⅞™±°¿ⓠΩ§E®Ŧ¥↑ıŒÞⓡⓨÆẞÐªŊĦⓝ&Łⓤⓧ¬ⓥ<>©‚‘’º×÷ⓞ¦",
    ),
}
# fmt: on

_OTHERWISE = {"de": {83: ",,,,"}}
"""Keys of `EVERYWHERE` that a layout changes, a character a level."""


def _layout(name: str) -> dict[int, str]:
    keys = {code: char * 4 for code, char in EVERYWHERE.items()}
    keys |= _OTHERWISE.get(name, {})
    return keys | {code: "".join(row) for code, *row in zip(KEYS, *_ROWS[name], strict=True)}


LAYOUTS: dict[str, dict[int, str]] = {name: _layout(name) for name in _ROWS}
"""Layout → key code → its four characters."""
