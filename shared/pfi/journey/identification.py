"""Look a document's patient up and decide: at most three reads of the patient base."""

from collections.abc import Sequence

from pfi.ins.concordance import (
    Decision,
    MatchPolicy,
    decide,
    document_traits,
    seek,
    survivors,
)
from pfi.ins.identity import DocumentIdentity
from pfi.journey.ports import Patients
from pfi.journey.records import DocumentFacts
from pfi.journey.settings import Settings
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
    found = patients.find(establishment, sought.value, sought.kind.value)
    traits, _ = document_traits(identity, policy)
    candidates = survivors(found, sought, lambda ipp: patients.get(establishment, ipp))
    twins = () if candidates else patients.twins(establishment, traits)
    return decide(identity, sought, candidates, twins, policy)


def refusal(documents: Sequence[DocumentFacts], decisions: Sequence[Decision]) -> Reason | None:
    """Why the whole mail goes to a person: the first document that may not be sent, or None.

    A document masked to professionals is never sent (X-51), whatever its identity.
    """
    for facts, decision in zip(documents, decisions, strict=True):
        reason = document_refusal(facts, decision)
        if reason is not None:
            return reason
    return None


def document_refusal(facts: DocumentFacts, decision: Decision) -> Reason | None:
    """Why this document may not be sent."""
    return Reason.MASQUE_PS if facts.masque_ps else decision.reason
