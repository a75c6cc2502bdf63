"""ER7, the vertical-bar encoding of HL7 v2: escaping, character sets, a minimal reader.

Text is fitted to the character set first and escaped afterwards: a transliteration may itself
produce a delimiter (a full-width bar becomes a bar).
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

UTF8: Final = "UNICODE UTF-8"
LATIN9: Final = "8859/15"
"""The two values of MSH-18 that the profile allows (hl7-mdm §5.3, L-04)."""
_CODECS: Final = {UTF8: "utf-8", LATIN9: "iso8859-15"}

_BREAKS: Final = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_CONTROLS: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])
_ESCAPES: Final = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"}
)
_ORDINARY: Final = re.compile(r"[ !-%'-\[\]_-{}\u00c0-\u00ff]*")
"""What both charsets have, and no rule changes."""
_SEQUENCE: Final = re.compile(r"\\([^\\\r\n]{0,32})\\")
_MSH_START: Final = len("MSH|^~")
_PLAIN: Final = {"E": "\\", "F": "|", "S": "^", "R": "~", "T": "&", ".br": "\n"}
_NEAREST: Final = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"',
        "\u201e": '"', "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-",
        "\u2015": "-", "\u2212": "-", "\u2026": "...", "\u2022": "-", "\u202f": " ", "\u2009": " ",
        "Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "ı": "i", "\u200b": "", "\u200d": "",
    }
)  # fmt: skip


def clean(text: str) -> str:
    """Line breaks and tabs to blanks, other control characters removed (L-03)."""
    return _BREAKS.sub(" ", text).replace("\t", " ").translate(_CONTROLS)


def escape(text: str) -> str:
    r"""One text component: the five delimiters as \E\ \F\ \S\ \R\ \T\ , no control (L-03)."""
    return clean(text).translate(_ESCAPES)


def ordinary(value: str) -> bool:
    """True for a text that `text` gives back as it is, in both charsets."""
    return _ORDINARY.fullmatch(value) is not None


def text(value: str, charset: str) -> str:
    """One text component ready for a field: cleaned, fitted, escaped, in this order."""
    if _ORDINARY.fullmatch(value):
        return value
    return escape(fit(clean(value), charset))


def unescape(text: str) -> str:
    """The text behind the escape sequences; an unknown sequence stays as it is."""
    return _SEQUENCE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(found: re.Match[str]) -> str:
    name = found.group(1)
    return _PLAIN.get(name) or found.group()


def fit(text: str, charset: str) -> str:
    """The text with every character that the charset lacks replaced (L-04).

    The nearest character when there is one (``’`` → ``'``, ``ā`` → ``a``), ``?`` otherwise.
    """
    codec = _CODECS[charset]
    if _encodable(text, codec):
        return text
    return "".join(c if _encodable(c, codec) else _nearest(c, codec) for c in text)


def lost(text: str, charset: str) -> int:
    """How many characters `fit` could only replace by a question mark."""
    return fit(text, charset).count("?") - text.count("?")


def _nearest(character: str, codec: str) -> str:
    near = unicodedata.normalize("NFKD", character.translate(_NEAREST)).translate(_NEAREST)
    plain = "".join(c for c in near if not unicodedata.combining(c) and _encodable(c, codec))
    invisible = unicodedata.category(character) in {"Cf", "Mn"}
    return plain or ("" if invisible else "?")


def _encodable(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def encode(text: str, charset: str) -> bytes:
    """Bytes of a fitted text under the MSH-18 name of its charset."""
    return text.encode(_CODECS[charset])


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; fields and components are counted from 1, as the standard writes them."""

    fields: tuple[str, ...]
    separators: str

    @property
    def name(self) -> str:
        """The three letters."""
        return self.fields[0].strip()

    def field(self, number: int) -> str:
        """A field with its repetitions and escapes; '' beyond the last one."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The repetitions of a field, none when it is empty."""
        whole = self.field(number)
        return whole.split(self.separators[1]) if whole else []

    def component(self, number: int, component: int = 1, repetition: int = 1) -> str:
        """A component, unescaped; '' when absent."""
        whole = self.fields[number] if number < len(self.fields) else ""
        if repetition > 1 or self.separators[1] in whole:
            whole = nth(whole.split(self.separators[1]), repetition)
        if component > 1 or self.separators[0] in whole:
            whole = nth(whole.split(self.separators[0]), component)
        return unescape(whole)


def nth(values: list[str], number: int) -> str:
    """The n-th value counted from 1; '' beyond the last one."""
    return values[number - 1] if number <= len(values) else ""


def first(fields: list[str], number: int, separators: str) -> str:
    """The first component of a field's first repetition, unescaped; '' when absent."""
    whole = fields[number] if number < len(fields) else ""
    if separators[1] in whole:
        whole = whole.partition(separators[1])[0]
    if separators[0] in whole:
        whole = whole.partition(separators[0])[0]
    return unescape(whole) if "\\" in whole else whole


def split(text: str) -> tuple[list[list[str]], str]:
    """The fields of each segment, and the separators of components and of repetitions; nothing
    when the text does not begin with a usable MSH.

    Lenient: CR, LF or CRLF end a segment; the delimiters are those that MSH declares.
    """
    body = text.strip("\v\x1c\r\n \ufeff")
    if "\n" in body:
        body = body.replace("\n", "\r")
    start = body[:_MSH_START]
    if len(start) < _MSH_START or not start.startswith("MSH") or "\r" in start:
        return [], ""
    bar = start[3]
    found = [line.split(bar) for line in body.split("\r") if line]
    found[0][:1] = ("MSH", bar)  # MSH-1 is the bar itself: MSH-3 then is field 3
    return found, start[4:]


def segments(text: str) -> tuple[Segment, ...]:
    """The segments of one message, () when it does not begin with a usable MSH."""
    found, separators = split(text)
    return tuple([Segment(tuple(fields), separators) for fields in found])
