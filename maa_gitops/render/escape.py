"""Text from a repository, made safe to show: nothing in it can move the cursor or turn the line around."""

import json
import re
import unicodedata

_KEPT = frozenset("\n\t")
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories: controls, format characters (bidirectional and zero-width ones), surrogates, private use."""

_NOT_PLAIN = re.compile(r"[^\n -~]")


def safe(text: str) -> str:
    """Escape control, bidirectional and other invisible characters; line feeds and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def safe_line(text: str) -> str:
    """The same for one line: line feeds and tabs are escaped too."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def safe_json(text: str) -> str:
    """The same for JSON, with JSON's own escapes: it reads back as it was, half characters of odd names included."""
    return _NOT_PLAIN.sub(
        lambda match: match[0] if _shown(match[0]) == match[0] else json.dumps(match[0])[1:-1],
        text,
    )


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _ESCAPED_CATEGORIES:
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
