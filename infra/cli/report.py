"""One object per mail, the same from `pfi up --report` and `pfi explain --json`."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pfi.journey.foresight import Forecast
from pfi.journey.records import DocumentRecord, Dossier, MailRecord
from pfi.names import Integration, Mdn, Reason, Route


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What became, or would become, of one document."""

    id: str
    event: str | None
    integration: str
    ack: str | None
    code: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class MailReport:
    """Where one mail ended, or would end."""

    file: str
    mail: str
    route: str
    reason: str | None
    mdn: str
    forwarded_to: str | None
    replied_to: str | None
    documents: tuple[DocumentReport, ...] = ()


def as_json(reports: Iterable[MailReport]) -> str:
    """A JSON list, in order."""
    return json.dumps([asdict(report) for report in reports], ensure_ascii=False, indent=2)


def foreseen(file: str, forecast: Forecast) -> MailReport:
    """The report of a forecast."""
    owed = forecast.settlement
    documents = tuple(
        DocumentReport(
            id=each.facts.id,
            event=each.facts.event.value,
            integration=each.integration.value,
            ack=None,
            code=None,
            reason=None if each.reason is None else each.reason.value,
        )
        for each in forecast.documents
    )
    return MailReport(
        file=file,
        mail=forecast.mail,
        route=owed.route.value,
        reason=owed.reason,
        mdn=owed.mdn.value,
        forwarded_to=owed.forward_to or None,
        replied_to=owed.replied_to or None,
        documents=documents,
    )


def happened(
    file: str, mail: MailRecord, dossier: Dossier | None, documents: Iterable[DocumentRecord]
) -> MailReport:
    """The report of the ledger."""
    facts = dossier.documents if dossier else ()
    return MailReport(
        file=file,
        mail=mail.mail,
        route=(mail.route or Route.REVIEW).value,
        reason=mail.reason,
        mdn=mail.mdn.value,
        forwarded_to=mail.forwarded_to,
        replied_to=mail.replied_to,
        documents=tuple(
            DocumentReport(
                id=each.id,
                event=record.event.value,
                integration=_integration(record),
                ack=record.ack,
                code=record.code,
                reason=record.reason,
            )
            for each, record in zip(facts, documents, strict=False)
        ),
    )


def repeated(file: str, mail: str) -> MailReport:
    """The report of a mail whose bytes were already collected."""
    return MailReport(
        file, mail, Route.DUPLICATE.value, Reason.SAME_MAIL.value, Mdn.NONE.value, None, None
    )


def _integration(record: DocumentRecord) -> str:
    """A document that waits for a person: refused when the DPI's last word was AR, else unknown."""
    if record.integration.ended:
        return record.integration.value
    return (Integration.REFUSED if record.ack == "AR" else Integration.UNKNOWN).value
