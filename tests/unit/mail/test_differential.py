"""Thousands of mutated mails, read by us and by the standard library: the same leaves and bytes.

Where the two read a mail differently on purpose, the difference stands in `REASONED`; any other is
a bug of one of them. A mail over our limits is not compared: it goes to a person.
"""

import email
import re
from collections import Counter
from email.message import Message
from random import Random

from pfi.mail.inbound import read
from tests.unit.mail.mutants import SHAPES, mutant, oracle, ours

MUTANTS = 2_500
LINE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def defects(message: Message) -> set[str]:
    """Names of what the library found wrong, anywhere in the mail."""
    return {type(each).__name__ for part in message.walk() for each in part.defects}


def mixed_line_ends(raw: bytes, _: Message) -> bool:
    return b"\r\n" in raw and LINE.search(raw) is not None


def noise_in_a_header_block(_: bytes, message: Message) -> bool:
    wrong = {"MissingHeaderBodySeparatorDefect", "FirstHeaderLineIsContinuationDefect"}
    return bool(defects(message) & wrong) or not message.keys()


def odd_parameter(raw: bytes, message: Message) -> bool:
    fields = ("content-type", "content-disposition")
    values = [part.get(name, "") for part in message.walk() for name in fields]
    return any(not SOUND.fullmatch(str(value)) for value in values if value)


SOUND = re.compile(
    r"[a-zA-Z0-9.-]+(/[a-zA-Z0-9.+-]+)?"
    r"(;\s*[a-z0-9*-]+=(\"[ !#-:<>@-[\]-~]*\"|\"?=_[a-z0-9]+\"?|[!#-:<>@-[\]-~]+))*"
)


def cut_short(_: bytes, message: Message) -> bool:
    return "CloseBoundaryNotFoundDefect" in defects(message)


def broken_base64(_: bytes, message: Message) -> bool:
    return any(each.startswith("InvalidBase64") for each in defects(message))


def zip_in_letters(_: bytes, message: Message) -> bool:
    said = [part for part in message.walk() if part["content-transfer-encoding"] != "base64"]
    return any(str(part.get_payload()).lstrip().startswith("UEsDB") for part in said)


REASONED = {
    # for us a line ends in one way in one mail: a CR in a header value breaks no field off
    mixed_line_ends: "line ends of several kinds in one mail",
    # a relay's noise line does not end a header block when a field follows
    noise_in_a_header_block: "a line that is no field between fields",
    # we mend file names and boundaries that real senders write without quotes
    odd_parameter: "parameters that RFC 2045 does not know",
    # what is left of a mail cut on its way is kept to its last byte
    cut_short: "a multipart that does not end",
    # the library gives up and returns the letters; we return what they say
    broken_base64: "base64 with foreign bytes or without its end",
    # real senders misspell the field
    zip_in_letters: "a zip in base64 whose encoding is not told",
}


def outcome(raw: bytes) -> str:
    """'same', why the two may differ, or '' when nothing explains it."""
    mail = read(raw)
    if mail.fault is not None:
        return "over our limits, or no mail"
    message = email.message_from_bytes(raw)
    if list(ours(mail)) == oracle(message):
        return "same"
    return next((why for rule, why in REASONED.items() if rule(raw, message)), "")


def test_whatever_the_mutation_the_leaves_are_those_of_the_standard_library():
    chance, shapes = Random(20260514), list(SHAPES.values())
    counted: Counter[str] = Counter()
    for _ in range(MUTANTS):
        raw = mutant(chance, chance.choice(shapes))
        counted[outcome(raw)] += 1
        assert counted[""] == 0, raw
    assert counted["same"] > MUTANTS * 0.6
    assert set(counted) - {"same", "over our limits, or no mail"} == set(REASONED.values())
