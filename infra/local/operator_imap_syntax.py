"""IMAP grammar of the simulated operator: tokens, number sets, SEARCH keys, FETCH items."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra.local.operator_store import StoredMail

Token = str | bytes | list["Token"]

_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<open>\() | (?P<close>\)) | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | \x00(?P<literal>\d+)\x00 | (?P<atom>(?:[^\s()"\[\]\x00]|\[[^\]]*\])+) )""",
    re.VERBOSE,
)
_BODY: Final = re.compile(
    r"BODY(?:\.PEEK)?\[(?P<section>[A-Z.]*)(?: \((?P<names>[^)]*)\))?\]"
    r"(?:<(?P<start>\d+)\.(?P<size>\d+)>)?",
    re.IGNORECASE,
)
_MACROS: Final = {
    "RFC822": "BODY[]",
    "RFC822.HEADER": "BODY.PEEK[HEADER]",
    "RFC822.TEXT": "BODY[TEXT]",
}
_END_OF_HEADER: Final = re.compile(rb"\r?\n\r?\n")
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_FLAG_KEYS: Final = {
    "DELETED": "\\Deleted",
    "SEEN": "\\Seen",
    "FLAGGED": "\\Flagged",
    "ANSWERED": "\\Answered",
    "DRAFT": "\\Draft",
}


class Bad(Exception):
    """The command is not understood: tagged BAD."""


class No(Exception):
    """Refused: tagged NO with this text."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command line with its literals."""

    tag: str
    name: str
    by_uid: bool
    args: list[Token]


def tokens(text: str, literals: Sequence[bytes]) -> list[Token]:
    """A command as nested lists; a literal stands as NUL number NUL in `text`."""
    stack: list[list[Token]] = [[]]
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Bad
        at = found.end()
        _place(found, stack, literals)
    if len(stack) != 1:
        raise Bad
    return stack[0]


def _place(found: re.Match[str], stack: list[list[Token]], literals: Sequence[bytes]) -> None:
    kind = found.lastgroup
    if kind == "open":
        stack.append([])
    elif kind == "close":
        if len(stack) == 1:
            raise Bad
        inner = stack.pop()
        stack[-1].append(inner)
    elif kind == "literal":
        stack[-1].append(literals[int(found["literal"])])
    elif kind == "quoted":
        stack[-1].append(re.sub(r"\\(.)", r"\1", found["quoted"]))
    else:
        stack[-1].append(found["atom"])


def string(token: Token) -> str:
    """An astring as text."""
    if isinstance(token, bytes):
        return token.decode("latin-1")
    if isinstance(token, str):
        return token
    raise Bad


def strings(token: Token) -> list[str]:
    """A list of astrings, or a single one without its parentheses."""
    return [string(each) for each in token] if isinstance(token, list) else [string(token)]


def numbers(text: str, known: Sequence[int]) -> list[int]:
    """The members of a sequence-set that exist; `*` is the highest one."""
    wanted: set[int] = set()
    highest = known[-1] if known else 0
    for part in text.split(","):
        ends = [highest if end == "*" else _number(end) for end in part.split(":")]
        low, high = min(ends), max(ends)
        wanted.update(n for n in known if low <= n <= high)
    return sorted(wanted)


def _number(text: str) -> int:
    if not text.isdigit():
        raise Bad
    return int(text)


Test = Callable[[int, StoredMail], bool]


def search(keys: Iterator[Token], raw: Callable[[StoredMail], bytes], view: Sequence[int]) -> Test:
    """All keys of a SEARCH as one test of (sequence number, mail)."""
    tests = [_key(key, keys, raw, view) for key in keys]
    return lambda number, mail: all(test(number, mail) for test in tests)


def _key(
    key: Token, rest: Iterator[Token], raw: Callable[[StoredMail], bytes], view: Sequence[int]
) -> Test:
    if isinstance(key, list):
        return search(iter(key), raw, view)
    word = string(key).upper()
    if word == "NOT":
        inner = _key(_next(rest), rest, raw, view)
        return lambda number, mail: not inner(number, mail)
    if word in {"HEADER", "SUBJECT", "FROM", "TO"}:
        name = string(_next(rest)) if word == "HEADER" else word
        return _header_test(name, string(_next(rest)), raw)
    if word == "UID":
        uids = set(numbers(string(_next(rest)), view))
        return lambda _, mail: mail.uid in uids
    return _flag_test(word, view)


def _next(rest: Iterator[Token]) -> Token:
    token = next(rest, None)
    if token is None:
        raise Bad
    return token


def _flag_test(word: str, view: Sequence[int]) -> Test:
    if word == "ALL":
        return lambda _number, _mail: True
    if word in _FLAG_KEYS:
        return lambda _, mail: _FLAG_KEYS[word] in mail.flags
    if word.startswith("UN") and word[2:] in _FLAG_KEYS:
        return lambda _, mail: _FLAG_KEYS[word[2:]] not in mail.flags
    wanted = set(numbers(word, range(1, len(view) + 1)))
    return lambda number, _: number in wanted


def _header_test(name: str, value: str, raw: Callable[[StoredMail], bytes]) -> Test:
    """HEADER: the field exists and contains the text, in any case (RFC 3501 §6.4.4)."""
    wanted = value.lower().encode("latin-1")
    pattern = re.compile(
        rb"^" + re.escape(name.encode("latin-1")) + rb":(.*(?:\r?\n[ \t].*)*)", re.I | re.M
    )

    def test(_: int, mail: StoredMail) -> bool:
        return any(wanted in found.lower() for found in pattern.findall(header(raw(mail))))

    return test


def header(raw: bytes) -> bytes:
    """The header block with the empty line that ends it."""
    if raw.startswith((b"\r\n", b"\n")):
        return raw[: raw.index(b"\n") + 1]
    end = _END_OF_HEADER.search(raw)
    return raw[: end.end()] if end else raw


def item(name: str, mail: StoredMail, raw: Callable[[StoredMail], bytes]) -> tuple[bytes, bytes]:
    """One FETCH data item: its text, and the literal that follows ('' when none)."""
    word = name.upper()
    if word == "UID":
        return b"UID %d" % mail.uid, b""
    if word == "RFC822.SIZE":
        return b"RFC822.SIZE %d" % mail.size, b""
    if word == "FLAGS":
        return b"FLAGS " + flags(mail.flags), b""
    if word == "INTERNALDATE":
        return b'INTERNALDATE "%s"' % _date(mail.received_at), b""
    return _body(word, raw(mail))


def reads_body(name: str) -> bool:
    """True for items that need the bytes of the mail."""
    return name.upper().startswith(("BODY", "RFC822")) and name.upper() != "RFC822.SIZE"


def marks_seen(name: str) -> bool:
    """True for items that set \\Seen."""
    word = _MACROS.get(name.upper(), name.upper())
    return word.startswith("BODY[")


def flags(values: frozenset[str]) -> bytes:
    """A parenthesised flag list."""
    return b"(" + " ".join(sorted(values)).encode("latin-1") + b")"


def _date(when: datetime) -> bytes:
    start = 3 * (when.month - 1)  # strftime would follow the locale
    return f"{when:%d}-{_MONTHS[start : start + 3]}-{when:%Y %H:%M:%S} +0000".encode("ascii")


def _body(word: str, raw: bytes) -> tuple[bytes, bytes]:
    found = _BODY.fullmatch(_MACROS.get(word, word))
    if found is None:
        raise Bad
    data = _section(found["section"].upper(), found["names"] or "", raw)
    label = word if word in _MACROS else re.sub(r"^BODY\.PEEK|<.*", _short, word)
    if found["start"]:
        start = int(found["start"])
        data = data[start : start + int(found["size"])]
        label += f"<{start}>"
    return label.encode("latin-1") + b" {%d}\r\n" % len(data), data


def _short(found: re.Match[str]) -> str:
    return "BODY" if found[0].startswith("BODY") else ""


def _section(section: str, names: str, raw: bytes) -> bytes:
    if section == "":
        return raw
    block = header(raw)
    if section == "HEADER":
        return block
    if section == "TEXT":
        return raw[len(block) :]
    if section in {"HEADER.FIELDS", "HEADER.FIELDS.NOT"}:
        wanted = {name.strip('"').lower().encode("latin-1") for name in names.split()}
        return _fields(block, wanted, keep=section == "HEADER.FIELDS")
    raise Bad


def _fields(block: bytes, wanted: set[bytes], *, keep: bool) -> bytes:
    fields = re.findall(rb"[^\r\n].*(?:\r?\n[ \t].*)*\r?\n", block)
    chosen = [f for f in fields if (f.partition(b":")[0].strip().lower() in wanted) == keep]
    return b"".join(chosen) + b"\r\n"
