"""Look a document's patient up and decide: at most three reads of the patient base."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

from pfi.ins.concordance import (
    Decision,
    MatchPolicy,
    Sought,
    decide,
    document_traits,
    seek,
    survivor,
    survivors,
)
from pfi.ins.identity import DocumentIdentity, PatientRecord
from pfi.journey.ports import Patients
from pfi.journey.records import DocumentFacts
from pfi.journey.settings import MailboxSettings, Settings
from pfi.names import Environment, Reason


def match_policy(settings: Settings) -> MatchPolicy:
    """The identity policy that the settings ask for."""
    match = settings.match
    return MatchPolicy(
        production=settings.environment is Environment.PRODUCTION,
        separators_equivalent=match.separators == "equivalent",
        reject_false_key=match.key == "reject",
        birthplace_required=match.birthplace == "required",
        given_list_strict=match.given_list == "strict",
        nia_alias=match.nia_alias,
        deduce_first_given=match.deduce_first_given,
        blocking=frozenset(match.blocking),
        who=match.who,
    )


def identify(
    identity: DocumentIdentity, establishment: str, patients: Patients, policy: MatchPolicy
) -> Decision:
    """The decision for one document (ins-matching §4.6).

    Traits are searched only when nobody holds the matricule: that search chooses between 902 and
    904 and never integrates.
    """
    sought = seek(identity, policy)
    if isinstance(sought, Decision):
        return sought
    if policy.who == "dpi":
        return decide(identity, sought, (), (), policy)
    get = cache(partial(patients.get, establishment))  # many absorbed records have one survivor
    found = patients.find(establishment, sought.value, sought.kind.value)
    candidates = survivors(found, sought, get)
    traits, _ = document_traits(identity, policy)
    twins = () if candidates else patients.twins(establishment, traits)
    decision = decide(identity, sought, candidates, twins, policy)
    find = partial(patients.find, establishment)
    if decision.integrate and _others_differ(sought, decision, find, get):
        return replace(decision, integrate=False, reason=Reason.INS_CONFLICT_IN_DOCUMENT)
    return decision


def _others_differ(
    sought: Sought,
    decision: Decision,
    find: Callable[[str, str], tuple[PatientRecord, ...]],
    get: Callable[[str], PatientRecord | None],
) -> bool:
    """The document's other INS (a NIA beside a NIR) must not be known as somebody else's (I-08)."""
    for other in sought.others:
        found = find(other.value, other.kind.value)
        if any(last and last.ipp != decision.ipp for last in (survivor(r, get) for r in found)):
            return True
    return False


def same_by_merges(ipp: str, other: str, establishment: str, patients: Patients) -> bool:
    """Whether merges lead from both numbers to one active record (ins-matching §4.5)."""
    get = partial(patients.get, establishment)
    mine, theirs = (survivor(r, get) if (r := get(each)) else None for each in (ipp, other))
    return mine is not None and theirs is not None and mine.ipp == theirs.ipp


def refusal(
    documents: Sequence[DocumentFacts], decisions: Sequence[Decision], ipp_oid: str = ""
) -> Reason | None:
    """Why the whole mail goes to a person: the first document that may not be sent, or None."""
    if len({decision.ipp for decision in decisions if decision.integrate}) > 1:
        return Reason.MULTIPLE_PATIENTS
    for facts, decision in zip(documents, decisions, strict=True):
        reason = document_refusal(facts, decision, ipp_oid)
        if reason is not None:
            return reason
    return None


def document_refusal(facts: DocumentFacts, decision: Decision, ipp_oid: str = "") -> Reason | None:
    """Why this document may not be sent.

    A document masked to professionals is never sent (X-51), whatever its identity; nor one whose
    identifiers, which the message repeats, name another patient under the hospital's own `ipp_oid`.
    """
    if facts.masque_ps:
        return Reason.MASQUE_PS
    own = {each.extension for each in facts.identity.ids if ipp_oid and each.root == ipp_oid}
    if decision.integrate and decision.ipp and own - {decision.ipp}:
        return Reason.ANOTHER_PATIENT
    return decision.reason


def ipp_oid(mailbox: MailboxSettings, settings: Settings) -> str:
    """The OID under which this mailbox's DPI numbers its patients; '' when not configured."""
    target = settings.dpi(mailbox.dpi)
    parts = target.ipp_authority.split("&") if target else []
    return parts[1] if len(parts) > 1 else ""
