"""What a mail says of the house that sent it, counted once, when it is read."""

from pfi.ins.concordance import Decision, seek
from pfi.ins.identity import DocumentIdentity
from pfi.ins.matricule import kind_of
from pfi.journey.identification import match_policy
from pfi.journey.records import Dossier, Sent
from pfi.journey.settings import Settings
from pfi.names import Event


def sent_of(dossier: Dossier, settings: Settings) -> Sent:
    """The share of the scorecard that one mail has. The base is not asked: what the hospital does
    not know of its patients is not the sender's to mend."""
    documents, facts = dossier.documents, dossier.facts
    policy = match_policy(settings)
    judged = [seek(each.identity, policy) for each in documents]
    return Sent(
        domain=facts.sender.rpartition("@")[2].lower(),
        archive=bool(dossier.archive_sha256),
        mdn=bool(facts.mdn_to) or facts.mdn_confirm,
        documents=len(documents),
        with_ins=sum(has_ins(each.identity) for each in documents),
        usable=sum(not isinstance(each, Decision) for each in judged),
        replacements=sum(each.event is Event.REPLACE for each in documents),
        deletions=sum(each.event is Event.DELETE for each in documents),
    )


def has_ins(identity: DocumentIdentity) -> bool:
    """An identifier under an OID of the INS, whatever it is worth."""
    return any(kind_of(each.root) for each in identity.ids)
