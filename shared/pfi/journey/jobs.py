"""Queue messages: identifiers only (claim check, design §1), in a versioned schema."""

import json
import re
from dataclasses import dataclass
from typing import Final

from pfi.errors import Unreadable
from pfi.names import Reason

SCHEMA: Final = 1
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do for one mail, or for one of its documents (numbered from 1)."""

    mail: str
    document: int | None = None

    def dump(self) -> str:
        """The message body; no patient data by construction."""
        body: dict[str, str | int] = {"v": SCHEMA, "mail": self.mail}
        if self.document is not None:
            body["document"] = self.document
        return json.dumps(body)


def load(body: str) -> Job:
    """Read a message body, of this schema version or an older one."""
    try:
        data = json.loads(body)
        mail, number = data["mail"], data.get("document")
        known = data["v"] <= SCHEMA and _DIGEST.fullmatch(mail)
        if known and (number is None or (isinstance(number, int) and number > 0)):
            return Job(mail, number)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise Unreadable(Reason.JOB_UNREADABLE)
