"""No word about a patient outside the mails, the store and the data of the tables (design §6.5)."""

import re
import unicodedata

from tests.data.builders import EVERYBODY
from tests.simulation.population import ADMITTED, STRUCK, UNKNOWN_NAME
from tests.simulation.witness import must

_SHORT = 4
"""A shorter name is a part of other words."""


def _words() -> set[str]:
    people = (*EVERYBODY, STRUCK, ADMITTED)
    names = {name for who in people for name in (who.birth_name, who.used_name, who.first_given)}
    numbers = {who.body for who in people if who.body}
    documents = {"2.25.88", "labo-invente", "patient fictif"}
    return {_plain(word) for word in names | numbers | documents | {UNKNOWN_NAME}}


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    bare = unicodedata.normalize("NFKD", text)
    return "".join(each for each in bare if not unicodedata.combining(each)).casefold()


_FORBIDDEN = re.compile("|".join(re.escape(w) for w in sorted(_words()) if len(w) > _SHORT))


def look(where: str, text: str) -> None:
    """Queues, keys, log lines and texts of errors hold digests, codes and numbers."""
    found = _FORBIDDEN.search(_plain(text))
    must(found is None, f"patient data in a {where}", found and found.group())
