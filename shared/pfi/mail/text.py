"""Characters: raw header bytes and bodies to clean text (RFC 2047, lying charsets)."""

import binascii
import codecs
import html
import re
import unicodedata
from typing import Final

from pfi.mail.transfer import from_base64

_WORD: Final = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_CHARSET_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BODY_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
# Directional overrides and byte-order marks change what a reader sees without being text.
_UNSEEN: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BLANK_LINES: Final = re.compile(r"\n{3,}")

# Only these decoders are ever run: some of Python's others are not charsets, or not linear.
_CHARSETS: Final = re.compile(
    r"utf-8(-sig)?|utf-16(-[bl]e)?|utf-32(-[bl]e)?|ascii|iso8859-\d+|cp125\d|cp850|cp437|koi8-[ru]"
    r"|mac-roman|gb2312|gbk|gb18030|big5|shift_jis|cp932|euc_(jp|kr)|iso2022_jp"
)
_LATIN_LABELS: Final = ("ascii", "iso8859-1")

_BREAKING_TAGS: Final = frozenset(
    ("br", "p", "/p", "div", "/div", "tr", "/tr", "li", "h1", "h2", "h3", "h4", "/table", "hr")
)
_HIDDEN_TAGS: Final = frozenset(("style", "script", "title", "head"))
_TAG_NAME: Final = re.compile(r"/?[A-Za-z][A-Za-z0-9]*")


def raw_text(value: bytes) -> str:
    """Raw 8-bit bytes where none are allowed: UTF-8 when they are, else cp1252 (mail-edge §3.2)."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def clean(text: str) -> str:
    """One line: no CR, LF, NUL, control, directional or half character survives."""
    one_line = _CONTROLS.sub(" ", _UNSEEN.sub("", text))
    return _SURROGATES.sub("\ufffd", one_line).strip()


def decode_bytes(content: bytes, charset: str) -> str:
    """Text of `content`; an unknown or lying charset falls back to UTF-8, then cp1252."""
    name = _codec(charset)
    if not name or name in _LATIN_LABELS:
        return raw_text(content) if name != "iso8859-1" else content.decode("cp1252", "replace")
    try:
        return content.decode(name)
    except (UnicodeDecodeError, ValueError):
        return raw_text(content) if name.startswith("utf-8") else content.decode(name, "replace")


def _codec(charset: str) -> str:
    """Python's name of an allowed charset, '' for any other."""
    if not _CHARSET_NAME.fullmatch(charset):
        return ""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return ""
    return name if _CHARSETS.fullmatch(name) else ""


def decode(value: bytes) -> str:
    """A header value as one clean line (RFC 2047 decoded)."""
    return clean(decode_words(raw_text(value)))


def decode_words(text: str) -> str:
    """RFC 2047 §6.2: blanks between encoded words vanish.

    Neighbours of one charset are joined as bytes first: senders cut a UTF-8 letter in two words.
    """
    pieces: list[str] = []
    charset, pending, at = "", [b""], 0
    for word in _WORD.finditer(text):
        gap, at = text[at : word.start()], word.end()
        label = word[1].partition("*")[0].lower()
        touching = charset and not gap.strip(" \t\r\n")
        if not (touching and label == charset):
            pieces.append(_flushed(pending, charset))
            pieces.append("" if touching else gap)
            charset, pending = label, []
        pending.append(_word_bytes(word[2], word[3]))
    return "".join([*pieces, _flushed(pending, charset), text[at:]])


def _flushed(pending: list[bytes], charset: str) -> str:
    return decode_bytes(b"".join(pending), charset)


def _word_bytes(encoding: str, payload: str) -> bytes:
    raw = payload.encode("utf-8", "replace")
    if encoding in "bB":
        return from_base64(raw)
    return binascii.a2b_qp(raw, header=True)


def body_text(content: bytes, charset: str) -> str:
    """A text body with LF line ends and no control character."""
    text = decode_bytes(content, charset).replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _BODY_CONTROLS.sub("", _UNSEEN.sub("", text)))


def without_tags(markup: str) -> str:
    """The readable text of an HTML body: one pass over the ``<``, never a parser of documents."""
    first, *rest = markup.split("<")
    pieces, hidden = [first], ""
    for chunk in rest:
        hidden, piece = _after_tag(chunk, hidden)
        pieces.append(piece)
    lines = (line.strip() for line in html.unescape("".join(pieces)).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _after_tag(chunk: str, hidden: str) -> tuple[str, str]:
    """(element still hidden, text to keep) for one ``<…`` chunk."""
    if hidden:
        return _still_hidden(chunk, hidden)
    if chunk.startswith("!--"):
        return ("", chunk.partition("-->")[2]) if "-->" in chunk else ("!--", "")
    tag, closed, after = chunk.partition(">")
    name = _TAG_NAME.match(tag)
    if not closed or (name is None and not tag.startswith(("!", "?"))):
        return "", f"<{chunk}"
    lower = name[0].lower() if name else ""
    if lower in _HIDDEN_TAGS:
        return lower, ""
    return "", ("\n" if lower in _BREAKING_TAGS else "") + after


def _still_hidden(chunk: str, hidden: str) -> tuple[str, str]:
    if hidden == "!--":
        return ("", chunk.partition("-->")[2]) if "-->" in chunk else (hidden, "")
    if chunk[: len(hidden) + 1].lower() == f"/{hidden}":
        return "", chunk.partition(">")[2]
    return hidden, ""


def plain_ascii(text: str) -> str:
    """Printable ASCII only, accents dropped: what a header block may hold (mssante-mail §1.4)."""
    bare = unicodedata.normalize("NFKD", clean(text).replace("’", "'"))
    kept = "".join(c for c in bare if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in kept)
