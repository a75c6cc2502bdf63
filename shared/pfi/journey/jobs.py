"""Queue messages: identifiers only (claim check, design §1), in a versioned schema."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from pfi.errors import Unreadable
from pfi.names import Reason

SCHEMA: Final = 1
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do for one mail, or for one of its documents (numbered from 1).

    `chains` are those that a push will ask for, so that one read brings all of it; a job without
    them, of an earlier version or of a person, is as good.
    """

    mail: str
    document: int | None = None
    chains: tuple[str, ...] = field(default=(), compare=False)

    def dump(self) -> str:
        """The message body; no patient data by construction."""
        body: dict[str, Any] = {"v": SCHEMA, "mail": self.mail}
        if self.document is not None:
            body["document"] = self.document
        if self.chains:
            body["chains"] = list(self.chains)
        return json.dumps(body)


@dataclass(frozen=True, slots=True)
class ReadMail:
    """A mail that was read: where its dossier lies, of which bytes (SHA-256), for which mailbox.
    The arrival of the dossier in the store is the job of `match`."""

    key: str
    mailbox: str
    seal: str


def load(body: str) -> Job:
    """Read a message body, of this schema version or an older one."""
    try:
        data = json.loads(body)
        mail, number, chains = data["mail"], data.get("document"), tuple(data.get("chains", ()))
        known = data["v"] <= SCHEMA and all(_DIGEST.fullmatch(each) for each in (mail, *chains))
        if known and (number is None or (isinstance(number, int) and number > 0)):
            return Job(mail, number, chains)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise Unreadable(Reason.JOB_UNREADABLE)
