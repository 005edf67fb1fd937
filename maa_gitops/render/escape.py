"""Text from a repository, made safe to show: nothing in it can move the cursor or turn the line around.

Nor can a line of it be a command to the runner of a CI job, which reads what is shown there.
"""

import json
import re
import unicodedata

_KEPT = frozenset("\n\t")
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories: controls, format characters (bidirectional and zero-width ones), surrogates, private use."""

_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_SPACES = frozenset(" \u3000")
"""The spaces that stay. Others look like them, and these letters and marks like nothing: a name could be another's."""

_NOT_PLAIN = re.compile(r"[^\n -~]")

_RUNNER_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(?=#\[)", re.MULTILINE)
"""What GitHub's runner takes for a command: ``::`` after white space of any kind, ``##[`` anywhere in a line."""


def safe(text: str) -> str:
    """Escape control, bidirectional and other invisible characters, and odd spaces; line feeds and tabs stay."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(_shown(character) for character in text)
    if "::" in text or "##[" in text:
        text = _RUNNER_COMMAND.sub(lambda match: f"{match[1] or ''}\\x{ord(match[0][-1]):02x}", text)
    return text


def safe_line(text: str) -> str:
    """The same for one line: line feeds and tabs are escaped too."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def safe_json(text: str) -> str:
    """The same for JSON, with JSON's own escapes: it reads back as it was, half characters of odd names included."""
    shown = _NOT_PLAIN.sub(
        lambda match: match[0] if _shown(match[0]) == match[0] else json.dumps(match[0])[1:-1],
        text,
    )
    return shown.replace("##[", "#\\u0023[")


def _hides(character: str) -> bool:
    """Whether a character does something else than what is seen of it."""
    category = unicodedata.category(character)
    is_odd_space = category == "Zs" and character not in _SPACES
    return category in _ESCAPED_CATEGORIES or is_odd_space or _UNSEEN.match(character) is not None


def _shown(character: str) -> str:
    if character in _KEPT or not _hides(character):
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
