"""Names for what is found: from what people call it, the same at every import, no two alike.

Which found object is which resource already is told in ``matching``.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

from maa_gitops.importing.values import Found

_ROOM = 64
_DIGITS = (8, 16, 32)
_LETTERS = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
    }
)
_OTHERS = re.compile(r"[^a-z0-9]+")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_NO_FILES = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))))
"""Names that Windows has for devices, so that no file can have them."""


def slug(text: str) -> str:
    """A text as a name: small letters without accents, digits, hyphens; empty if nothing of it is left."""
    letters = unicodedata.normalize("NFC", text).casefold().translate(_LETTERS)
    plain = "".join(c for c in unicodedata.normalize("NFKD", letters) if not unicodedata.combining(c))
    return _OTHERS.sub("-", plain.casefold()).strip("-")[:_ROOM].strip("-")


def kebab(words: str) -> str:
    """A word of several, such as a profile type, as a name."""
    return slug(_WORD.sub("-", words))


def new_names(found: Sequence[Found], taken: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Name objects that have no name yet, in their order; ``taken`` are the names that are given, by profile type.

    Of those that would be called alike each gets digits of its id, or of its type and what it is called: a name
    depends neither on the order nor on which came first.
    """
    plain = [(one.state.profile_type, slug(one.display_name)) for one in found]
    times = Counter(plain)
    given = {profile_type: set(known) for profile_type, known in taken.items()}
    names = {}
    for index in sorted(range(len(found)), key=lambda index: _identity(found[index])):
        profile_type, name = plain[index]
        known = given.setdefault(profile_type, set())
        is_free = name and name not in known and name not in _NO_FILES
        alone = is_free and times[profile_type, name] == 1
        names[index] = name if alone else told_apart(found[index], known)
        known.add(names[index])
    return tuple(names[index] for index in range(len(found)))


def told_apart(one: Found, taken: Collection[str] = ()) -> str:
    """A name with digits that tell it apart from others that are called alike, as few as it takes."""
    digits = sha256(_identity(one).encode("utf-8", "surrogatepass")).hexdigest()
    stem = slug(one.display_name) or kebab(one.state.profile_type) or "object"
    candidates = [f"{stem[: _ROOM - 1 - count].strip('-')}-{digits[:count]}" for count in _DIGITS]
    return next((candidate for candidate in candidates if candidate not in taken), candidates[-1])


def _identity(one: Found) -> str:
    """What is the same at every import: the id, else the type and what it is called."""
    return one.remote_id or f"{one.state.data.get('type')}\n{one.display_name}"
