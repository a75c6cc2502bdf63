"""Does this document belong to exactly one qualified patient of this hospital?

The order of the questions is part of the rule (ins-matching §4.6): the completeness of the
document before any look-up, the reliability of the record before its traits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from pfi.ins import matricule as ins
from pfi.ins import traits as rules
from pfi.ins.identity import DocumentIdentity, InsKind, PatientRecord, Traits
from pfi.ins.matricule import Matricule
from pfi.ins.traits import Level
from pfi.names import Reason

BLOCKING: Final = frozenset(
    {"DOUT", "FICT", "ANOM", "CACH", "USUR", "INVA", "COLP", "COLV"},
)
"""PID-32 attributes that stop a match until a person has looked (§4.5, Q-18)."""
QUALIFIED: Final = "VALI"
MERGE_HOPS: Final = 8
"""How many merges are followed from a record to its survivor."""
_INACTIVE: Final = frozenset({"DESA", "DOUB"})
STRICT: Final = ("birth_name", "first_given", "birth_date", "sex", "birth_place")
"""The five strict traits in the order of the RNIV."""


class Warn(StrEnum):
    """What was accepted but deserves a line in the journal."""

    FALSE_KEY = "false_key"
    LEGACY_GIVEN = "legacy_given"
    DEDUCED_GIVEN = "deduced_given"
    GIVEN_LIST = "given_list"
    NIA_ALIAS = "nia_alias"
    PRODUCTION_INS = "production_ins_on_test_site"
    NO_INS_IN_METADATA = "no_ins_in_metadata"
    ATTRIBUTES = "informative_attributes"


@dataclass(frozen=True, slots=True)
class MatchPolicy:
    """Settings of the match; the defaults are those of the open questions Q-09…Q-18, Q-38."""

    production: bool
    separators_equivalent: bool = True
    reject_false_key: bool = False
    birthplace_required: bool = True
    given_list_strict: bool = False
    nia_alias: bool = True
    deduce_first_given: bool = False
    blocking: frozenset[str] = BLOCKING
    who: Literal["both", "pfi", "dpi"] = "both"


@dataclass(frozen=True, slots=True)
class TraitFinding:
    """How one trait compared; `trait` is a field name of Traits."""

    trait: str
    level: Level


@dataclass(frozen=True, slots=True)
class Sought:
    """The INS to look up, and the document's other INS, which is never looked up (I-08)."""

    matricule: Matricule
    others: tuple[Matricule, ...] = ()
    warnings: tuple[Warn, ...] = ()

    @property
    def kind(self) -> InsKind:
        """The issuing scheme of the matricule looked up."""
        return self.matricule.kind

    @property
    def value(self) -> str:
        """The 15 characters looked up."""
        return self.matricule.value


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record the matricule leads to, merges followed; `by_alias` when it is not its own INS."""

    record: PatientRecord
    by_alias: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome and its explanation. No value of the patient but in `record`.

    `twins` are the ipp of records equal on the five traits under another matricule or none,
    listed for the person who reviews a 902 or a 904.
    """

    integrate: bool
    reason: Reason | None = None
    ipp: str = ""
    level: Level = Level.EXACT
    findings: tuple[TraitFinding, ...] = ()
    warnings: tuple[Warn, ...] = ()
    record: PatientRecord | None = None
    kind: InsKind | None = None
    twins: tuple[str, ...] = ()


def _refused(reason: Reason) -> Decision:
    return Decision(integrate=False, reason=reason)


# --- before any look-up -------------------------------------------------------------------------


def seek(identity: DocumentIdentity, policy: MatchPolicy) -> Sought | Decision:
    """Everything the document alone decides (§4.6, first half); else what to look up."""
    if identity.record_targets != 1:
        return _refused(Reason.MULTIPLE_PATIENTS if identity.record_targets else Reason.NO_INS)
    roots = [(one.extension, one.root) for one in identity.ids if ins.kind_of(one.root)]
    if not roots:
        return _refused(Reason.NO_INS)
    read = [ins.read(extension, root) for extension, root in roots]
    known = tuple(dict.fromkeys(m for m in read if m is not None))
    fault = _fault(read, known, identity, policy)
    return _refused(fault) if fault else _complete(identity, known, policy)


def _fault(
    read: list[Matricule | None],
    known: tuple[Matricule, ...],
    identity: DocumentIdentity,
    policy: MatchPolicy,
) -> Reason | None:
    if None in read or (policy.reject_false_key and not all(m.key_ok for m in known)):
        return Reason.MATRICULE_MALFORMED
    if len({m.kind for m in known}) != len(known):
        return Reason.INS_CONFLICT_IN_DOCUMENT
    if policy.who == "dpi":  # §4.9: the rest is the DPI's to say
        return None
    if policy.production and any(m.trial for m in known):
        return Reason.TEST_INS_IN_PRODUCTION
    return _metadata_fault(known, identity.metadata_patient)


def _metadata_fault(known: tuple[Matricule, ...], patient: tuple[str, str] | None) -> Reason | None:
    """METADATA.XML must name one of the document's INS when it names one at all (Q-15)."""
    if patient is None:
        return None
    named = (ins.clean(patient[0]), patient[1].strip())
    same = any((m.value, m.kind.value) == named for m in known)
    return None if same else Reason.META_CDA_PATIENT_MISMATCH


def _complete(
    identity: DocumentIdentity, known: tuple[Matricule, ...], policy: MatchPolicy
) -> Sought | Decision:
    traits, deduced = document_traits(identity, policy)
    missing = tuple(name for name in STRICT if not _present(traits, name, policy))
    if missing:
        findings = tuple(TraitFinding(name, Level.MISSING) for name in missing)
        return replace(_refused(Reason.INS_INCOMPLETE), findings=findings, level=Level.MISSING)
    first, *others = sorted(known, key=lambda m: m.kind is InsKind.NIA)  # I-08: a NIR first
    warnings = _document_warnings(identity, first, policy)
    return Sought(first, tuple(others), (*warnings, *deduced))


def document_traits(
    identity: DocumentIdentity, policy: MatchPolicy
) -> tuple[Traits, tuple[Warn, ...]]:
    """The traits to compare. Without a given BR, 905, or the first word of the list (Q-10)."""
    traits = identity.traits
    words = _listed(traits.given_list).split()
    if rules.has_name(traits.first_given) or not (policy.deduce_first_given and words):
        return traits, ()
    return replace(traits, first_given=words[0]), (Warn.DEDUCED_GIVEN,)


def _present(traits: Traits, name: str, policy: MatchPolicy) -> bool:
    value: str = getattr(traits, name)
    if name == "birth_place" and not policy.birthplace_required and not value.strip():
        return True
    return bool(_NORMAL[name](value))


_NORMAL: Final[dict[str, Callable[[str], str | bool]]] = {
    "birth_name": rules.has_name,
    "first_given": rules.has_name,
    "birth_date": rules.day,
    "sex": rules.sex,
    "birth_place": rules.place,
}


def _document_warnings(
    identity: DocumentIdentity, first: Matricule, policy: MatchPolicy
) -> tuple[Warn, ...]:
    raised = {
        Warn.FALSE_KEY: not first.key_ok,
        Warn.LEGACY_GIVEN: identity.legacy_given,
        Warn.PRODUCTION_INS: not policy.production and not first.trial,
        Warn.NO_INS_IN_METADATA: identity.metadata_patient is None,
    }
    return tuple(code for code, here in raised.items() if here)


# --- from the records found to the candidates ---------------------------------------------------


def inactive(record: PatientRecord) -> bool:
    """A record replaced by another or closed: DESA, DOUB, merged (§4.5)."""
    codes = {record.status} | record.attributes
    return not record.active or bool(record.merged_into) or bool(codes & _INACTIVE)


def qualified(record: PatientRecord) -> bool:
    """VALI and an official INS: the only identity a document may join (§4.5)."""
    return record.status == QUALIFIED and bool(record.matricule) and bool(ins.kind_of(record.oid))


def survivor(
    record: PatientRecord, get: Callable[[str], PatientRecord | None]
) -> PatientRecord | None:
    """The active record that merges lead to; None when they lead nowhere or in a circle."""
    current: PatientRecord | None = record
    for _ in range(MERGE_HOPS + 1):
        if current is None or not inactive(current):
            return current
        current = get(current.merged_into) if current.merged_into else None
    return None


def _holds(record: PatientRecord, sought: Sought) -> bool:
    return (ins.clean(record.matricule), record.oid) == (sought.value, sought.kind.value)


def survivors(
    found: Iterable[PatientRecord],
    sought: Sought,
    get: Callable[[str], PatientRecord | None],
) -> tuple[Candidate, ...]:
    """The candidates of a look-up: holders of the INS, else of its alias; merges followed.

    `by_alias` is judged on the survivor: a holder merged into a record that has another INS
    leads there by an old number, whatever its own state said.
    """
    records = tuple(found)
    current = tuple(r for r in records if _holds(r, sought)) or records
    last = (survivor(record, get) for record in current)
    by_ipp = {record.ipp: record for record in last if record is not None}
    return tuple(Candidate(r, by_alias=not _holds(r, sought)) for r in by_ipp.values())


# --- the decision -------------------------------------------------------------------------------


def decide(
    identity: DocumentIdentity,
    sought: Sought,
    candidates: tuple[Candidate, ...],
    twins: tuple[PatientRecord, ...],
    policy: MatchPolicy,
) -> Decision:
    """One qualified record, equal on every strict trait, or the reason why not (§4.6)."""
    base = Decision(integrate=True, kind=sought.kind, warnings=sought.warnings)
    if policy.who == "dpi":
        return base
    active = tuple(c for c in candidates if not inactive(c.record))
    reachable = tuple(c for c in active if qualified(c.record)) or active
    if not reachable:
        return _unknown(base, sought, _twins(identity, twins, policy))
    if len(reachable) > 1:
        return replace(base, integrate=False, reason=Reason.AMBIGUOUS)
    return _one(base, identity, sought, reachable[0], policy)


def _unknown(base: Decision, sought: Sought, twins: tuple[PatientRecord, ...]) -> Decision:
    """Never matched on traits alone: a twin only chooses between 902 and 904."""
    other_ins = any(
        qualified(t) and t.oid == sought.kind.value and not _holds(t, sought) for t in twins
    )
    reason = Reason.INS_DIFFERS if other_ins else Reason.UNKNOWN_PATIENT
    return replace(base, integrate=False, reason=reason, twins=tuple(t.ipp for t in twins))


def _twins(
    identity: DocumentIdentity, records: tuple[PatientRecord, ...], policy: MatchPolicy
) -> tuple[PatientRecord, ...]:
    """The active records equal on the five traits; the caller's own search may be wider."""
    traits = document_traits(identity, policy)[0]
    return tuple(r for r in records if not inactive(r) and _equal(traits, r.traits, policy))


def _equal(one: Traits, other: Traits, policy: MatchPolicy) -> bool:
    return all(f.level.equal for f in compare(one, other, policy)[: len(STRICT)])


def _one(
    base: Decision,
    identity: DocumentIdentity,
    sought: Sought,
    found: Candidate,
    policy: MatchPolicy,
) -> Decision:
    record = found.record
    base = replace(base, record=record, ipp=record.ipp)
    fault = _record_fault(sought, found, policy)
    if fault:
        return replace(base, integrate=False, reason=fault)
    findings = compare(document_traits(identity, policy)[0], record.traits, policy)
    warnings = (*base.warnings, *_record_warnings(found, findings))
    return _judged(replace(base, findings=findings, warnings=warnings), policy)


def _record_fault(sought: Sought, found: Candidate, policy: MatchPolicy) -> Reason | None:
    if not qualified(found.record):
        return Reason.BASE_NOT_QUALIFIED
    if found.record.attributes & policy.blocking:
        return Reason.FLAGGED  # before the alias: of a doubtful identity nothing is said (§4.7)
    if found.by_alias and not _nia_became_nir(sought, found.record, policy):
        return Reason.INS_DIFFERS
    return None


def _nia_became_nir(sought: Sought, record: PatientRecord, policy: MatchPolicy) -> bool:
    """The only alias that integrates: a NIA whose holder has since received a NIR (Q-14)."""
    return policy.nia_alias and sought.kind is InsKind.NIA and record.oid == InsKind.NIR.value


def _record_warnings(found: Candidate, findings: tuple[TraitFinding, ...]) -> tuple[Warn, ...]:
    raised = {
        Warn.NIA_ALIAS: found.by_alias,
        Warn.GIVEN_LIST: findings[-1].level is Level.DIFFERENT,
        Warn.ATTRIBUTES: bool(found.record.attributes),
    }
    return tuple(code for code, here in raised.items() if here)


def _judged(base: Decision, policy: MatchPolicy) -> Decision:
    strict = {f.trait: f.level for f in base.findings[: len(STRICT)]}
    if not policy.birthplace_required and strict["birth_place"] is Level.MISSING:
        del strict["birth_place"]
    level = rules.worst(tuple(strict.values()))
    if Level.MISSING in strict.values():
        return replace(base, integrate=False, reason=Reason.BASE_INCOMPLETE, level=level)
    list_differs = base.findings[-1].level is Level.DIFFERENT and policy.given_list_strict
    if level is Level.DIFFERENT or list_differs:
        return replace(base, integrate=False, reason=Reason.INS_DIFFERS, level=Level.DIFFERENT)
    return replace(base, level=level)


def compare(one: Traits, other: Traits, policy: MatchPolicy) -> tuple[TraitFinding, ...]:
    """One finding per strict trait in the order of the RNIV, then the informative given list."""
    levels = [
        _compare_names(one.birth_name, other.birth_name, policy),
        _compare_names(one.first_given, other.first_given, policy),
        _compare_codes(rules.day, one.birth_date, other.birth_date),
        _compare_codes(rules.sex, one.sex, other.sex),
        _compare_codes(rules.place, one.birth_place, other.birth_place),
        _compare_names(_listed(one.given_list), _listed(other.given_list), policy),
    ]
    return tuple(map(TraitFinding, (*STRICT, "given_list"), levels))


def _listed(given_list: str) -> str:
    return given_list.replace(",", " ")


def _compare_names(one: str, other: str, policy: MatchPolicy) -> Level:
    return rules.compare_names(one, other, separators=policy.separators_equivalent)


def _compare_codes(normal: Callable[[str], str], one: str, other: str) -> Level:
    return rules.compare_codes(one, other, normal(one), normal(other))


def traits_to_send(identity: DocumentIdentity, decision: Decision) -> Traits:
    """What PID-5/7/8/11 carry: the matched record in RNIV capitals, else the document (Q-17)."""
    if decision.record is None:
        return identity.traits
    traits = decision.record.traits
    return replace(
        traits,
        birth_name=rules.normal(traits.birth_name),
        first_given=rules.normal(traits.first_given),
        given_list=rules.normal(_listed(traits.given_list)),
        birth_date=rules.day(traits.birth_date),
        sex=rules.sex(traits.sex),
        birth_place=rules.place(traits.birth_place),
        used_name=rules.normal(traits.used_name),
        used_given=rules.normal(traits.used_given),
    )
