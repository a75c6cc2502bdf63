"""Which parts of a mail may be the IHE_XDM archive (mssante-mail §1.3 step 3)."""

import io
import re
import zipfile
from typing import Final

from pfi.mail.inbound import Mail, Part
from pfi.mail.mime import opening

_NAME: Final = re.compile(r"(?i)ihe_?xdm.*\.zip$")
_MAY_HIDE: Final = re.compile(r"(?i)\.(?:zip|eml|msg)$")
_MAGIC: Final = b"PK\x03\x04"
_PEEK: Final = 600
_CENTRAL_ENTRY: Final = b"PK\x01\x02"
_MOST_ENTRIES: Final = 5_000
_METADATA: Final = "METADATA.XML"
_NEVER: Final = ("message/", "multipart/")


def archives(mail: Mail) -> tuple[bytes, ...]:
    """Candidate archives of the mail's own parts, each distinct content once (§1.3 step 4).

    A part with the archive's name is one even when its bytes are broken: staff must hear of it.
    Nothing inside a report is ever one: an MDN brings the original back.
    """
    found = [mail.content(part) for part in mail.parts if is_archive(mail, part)]
    return tuple(found if len(found) < 2 else dict.fromkeys(found))  # alone: nothing to hash


def is_archive(mail: Mail, part: Part) -> bool:
    """True when `part` is a candidate, by its name or by what it holds."""
    if part.in_report or part.content_type.startswith(_NEVER):
        return False
    if _NAME.search(part.filename):
        return True
    return _starts_as_zip(mail, part) and _holds_metadata(mail.content(part))


def may_hide_one(mail: Mail) -> bool:
    """True when a part looks like a ZIP or a message, whatever it holds or whether it can be read:
    a person must look before it counts as none. Nothing in a report is meant."""
    return any(
        _MAY_HIDE.search(part.filename) is not None or _starts_as_zip(mail, part)
        for part in mail.parts
        if not part.in_report and not part.content_type.startswith(_NEVER)
    )


def _starts_as_zip(mail: Mail, part: Part) -> bool:
    """Looks at the first bytes only: decoding every PDF to reject it would double the cost."""
    return opening(mail.raw, part, _PEEK).startswith(_MAGIC)


def _holds_metadata(content: bytes) -> bool:
    if content.count(_CENTRAL_ENTRY) > _MOST_ENTRIES:
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except Exception:  # whatever zipfile says of junk, it is no archive of ours
        return False
    return any(re.split(r"[/\\]", name)[-1].upper() == _METADATA for name in names)
