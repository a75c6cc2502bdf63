"""The mails that a settlement owes, built from the original's bytes and the ledger."""

from dataclasses import dataclass
from datetime import datetime

from pfi.ins.wording import checks
from pfi.journey.message import PARIS
from pfi.journey.records import DocumentRecord, Dossier, MailRecord
from pfi.journey.settings import MailboxSettings, Settings
from pfi.journey.settlement import Settlement, outward
from pfi.mail import mdn
from pfi.mail.inbound import MailLimits, read
from pfi.mail.outbound import (
    Cause,
    Dispatch,
    ForwardStyle,
    Layout,
    Outgoing,
    OwnMailbox,
    failure_notice,
    forward,
)
from pfi.names import OUTWARD_LABELS, Event, Integration, Mdn, Reason

DEFAULT_PRODUCT = "PFI"
"""Reporting-UA when no product reference is set."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One settled mail; each method builds one outgoing mail from the original's bytes."""

    record: MailRecord
    dossier: Dossier
    documents: tuple[DocumentRecord, ...]
    owed: Settlement
    mailbox: MailboxSettings
    settings: Settings
    now: datetime

    def forward(self, raw: bytes) -> Outgoing:
        """To the fallback mailbox, with the reason and the mark of a refused deletion."""
        deletion = any(each.event is Event.DELETE for each in self.dossier.documents)
        style = ForwardStyle(
            layout=Layout(self.settings.forward_layout),
            deletion=deletion,
            size_limit=self.settings.operator.send_bytes,
        )
        return forward(self._dispatch(raw, self.owed.forward_to), self._cause(), style)

    def answer(self, raw: bytes) -> Outgoing:
        """To the sender: the MDN that was asked, else the failure notice."""
        if self.owed.notice_to:
            return failure_notice(self._dispatch(raw, self.owed.notice_to), self._cause())
        dispatch = self._dispatch(raw, self.owed.mdn_to)
        form = mdn.MdnForm(
            syntax=mdn.Syntax(self.settings.mdn.syntax), reattach=self.settings.mdn.reattach
        )
        if self.owed.mdn is Mdn.PROCESSED:
            return mdn.processed(dispatch, form)
        return mdn.error(dispatch, self._cause(), form)

    def _dispatch(self, raw: bytes, to: str) -> Dispatch:
        product = self.settings.product_reference
        own = OwnMailbox(
            self.mailbox.address,
            product=product or DEFAULT_PRODUCT,
            nil=product,
            reply_to=self.mailbox.reply_to,
        )
        return Dispatch(
            mail=read(raw, MailLimits(size=self.settings.limits.mail_bytes)),
            digest=self.record.mail,
            own=own,
            to=to,
            now=self.now.astimezone(PARIS),
            subject=self._subject(),
            outcomes=self._outcomes(),
        )

    def _subject(self) -> str:
        """The request line rebuilt from the CDA, for a mail whose subject has none (N-07)."""
        documents = self.dossier.documents
        if not documents:
            return ""
        traits = documents[0].identity.traits
        label = f"{len(documents)} documents" if len(documents) > 1 else documents[0].label[:40]
        date = traits.birth_date[:8]
        born = f"{date[6:8]}/{date[4:6]}/{date[:4]}" if len(date) == len("YYYYMMDD") else ""
        words = (label, traits.birth_name, traits.first_given, born)
        return "XDM/1.0/DDM+" + " ".join(word for word in words if word)

    def _outcomes(self) -> tuple[tuple[int, str], ...]:
        if len(self.documents) < 2:
            return ()
        return tuple((each.number, outcome_fr(each)) for each in self.documents)

    def _cause(self) -> Cause:
        """The outward code and label; staff also see our own reason (ins-matching §4.8)."""
        reason = self.owed.reason or Reason.OTHER.value
        code = outward(reason)
        label = OUTWARD_LABELS.get(code, OUTWARD_LABELS[Reason.OTHER.value])
        return Cause(code=code, label=label, reason=reason, checks=self._checks())

    def _checks(self) -> tuple[str, ...]:
        """Which traits staff checks, in which system; of several documents each thing once."""
        told = (
            checks(each.reason or "", ((f.trait, f.level) for f in each.findings))
            for each in self.documents
        )
        return tuple(dict.fromkeys(check for some in told for check in some))


def outcome_fr(document: DocumentRecord) -> str:
    """What became of one document of several, for the sender: outward codes only."""
    if document.integration is Integration.INTEGRATED:
        return "déjà intégré" if document.repeated else "intégré"
    if document.reason is None:
        return "non transmis"
    return f"non intégré, code {outward(document.reason)}"
