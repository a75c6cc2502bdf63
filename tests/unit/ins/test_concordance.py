"""The match beyond its table: each fault of a document, each setting, each merge."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfi.ins import concordance
from pfi.ins.concordance import Decision, MatchPolicy, Sought, TraitFinding, Warn
from pfi.ins.identity import DocumentIdentity, InsKind, PatientRecord, Traits
from pfi.ins.traits import Level
from pfi.names import Reason
from tests.unit.ins.people import (
    DEMO,
    FALSE_KEY,
    NIA,
    NIR,
    NSS,
    OLD,
    OTHER,
    OTHER_WAITING,
    OWN,
    PRODUCTION,
    TEST,
    TRAITS,
    WAITING,
    document,
    match,
    record,
)

# --- before any look-up -------------------------------------------------------------------------


@pytest.mark.parametrize(("targets", "reason"), [(0, Reason.NO_INS), (2, Reason.MULTIPLE_PATIENTS)])
def test_a_document_has_exactly_one_patient(targets: int, reason: Reason) -> None:
    decision = concordance.seek(document(record_targets=targets), PRODUCTION)
    assert isinstance(decision, Decision)
    assert decision.reason is reason
    assert decision.findings == ()


def test_the_same_ins_written_twice_is_one() -> None:
    spaced = f"{OWN[:1]} {OWN[1:]}"
    sought = concordance.seek(document((OWN, NIR), (spaced, NIR)), PRODUCTION)
    assert isinstance(sought, Sought)
    assert (sought.value, sought.kind, sought.others) == (OWN, InsKind.NIR, ())


def test_of_a_nir_and_a_nia_the_nir_is_looked_up() -> None:
    sought = concordance.seek(document((WAITING, NIA), (OWN, NIR)), PRODUCTION)
    assert isinstance(sought, Sought)
    assert (sought.value, sought.kind) == (OWN, InsKind.NIR)
    assert [m.value for m in sought.others] == [WAITING]


def test_a_malformed_ins_beside_a_good_one_refuses() -> None:
    decision = match(document((OWN, NIR), ("123", NIA)), (record(),))
    assert decision.reason is Reason.MATRICULE_MALFORMED


@pytest.mark.parametrize("oid", [TEST, DEMO])
def test_a_trial_ins_is_at_home_on_a_test_site(oid: str) -> None:
    decision = match(document((OWN, oid)), (record(ins=(OWN, oid)),), MatchPolicy(production=False))
    assert decision.integrate
    assert Warn.PRODUCTION_INS not in decision.warnings


def test_a_real_ins_on_a_test_site_is_a_warning() -> None:
    decision = match(document(), (record(),), MatchPolicy(production=False))
    assert decision.integrate
    assert Warn.PRODUCTION_INS in decision.warnings


def test_metadata_may_name_the_nia_of_a_document_with_both() -> None:
    identity = document((OWN, NIR), (WAITING, NIA), metadata_patient=(WAITING, NIA))
    assert match(identity, (record(),)).integrate


def test_metadata_with_the_same_number_under_another_scheme_is_a_mismatch() -> None:
    decision = match(document(metadata_patient=(OWN, NIA)), (record(),))
    assert decision.reason is Reason.META_CDA_PATIENT_MISMATCH


def test_metadata_without_an_ins_is_a_warning() -> None:
    decision = match(document(metadata_patient=None), (record(),))
    assert decision.integrate
    assert decision.warnings == (Warn.NO_INS_IN_METADATA,)


@pytest.mark.parametrize("trait", concordance.STRICT)
def test_an_incomplete_document_says_which_trait_it_lacks(trait: str) -> None:
    decision = match(document(traits=replace(TRAITS, **{trait: " "})), (record(),))
    assert decision.reason is Reason.INS_INCOMPLETE
    assert decision.findings == (TraitFinding(trait, Level.MISSING),)


def test_an_ins_conflict_is_told_before_a_missing_trait() -> None:
    identity = document((OWN, NIR), (OTHER, NIR), traits=Traits())
    assert match(identity, ()).reason is Reason.INS_CONFLICT_IN_DOCUMENT


# --- traits -------------------------------------------------------------------------------------

CHANGED = {
    "birth_name": "DAUBRAC-VALLON",
    "first_given": "MAELISS",
    "birth_date": "19850902",
    "sex": "M",
    "birth_place": "75101",
}


@pytest.mark.parametrize("trait", concordance.STRICT)
def test_one_different_trait_refuses_and_is_named(trait: str) -> None:
    base = record(traits=replace(TRAITS, **{trait: CHANGED[trait]}))
    decision = match(document(), (base,))
    assert decision.reason is Reason.INS_DIFFERS
    assert decision.level is Level.DIFFERENT
    assert [f.trait for f in decision.findings if f.level is Level.DIFFERENT] == [trait]


@pytest.mark.parametrize("trait", concordance.STRICT)
def test_a_qualified_record_without_a_trait_is_incomplete(trait: str) -> None:
    decision = match(document(), (record(traits=replace(TRAITS, **{trait: ""})),))
    assert decision.reason is Reason.BASE_INCOMPLETE
    assert [f.trait for f in decision.findings if f.level is Level.MISSING] == [trait]


def test_the_explanation_lists_every_trait_in_order_with_its_level() -> None:
    written = replace(
        TRAITS,
        birth_name="d’Aubrac Vallon",
        first_given="Maelys",
        birth_date="19850209101500+0100",
    )
    decision = match(document(traits=written), (record(),))
    assert decision.integrate
    assert decision.level is Level.SEPARATORS
    assert [(f.trait, f.level) for f in decision.findings] == [
        ("birth_name", Level.SEPARATORS),
        ("first_given", Level.NORMALISED),
        ("birth_date", Level.NORMALISED),
        ("sex", Level.EXACT),
        ("birth_place", Level.EXACT),
        ("given_list", Level.EXACT),
    ]


def test_the_used_name_is_never_compared() -> None:
    assert match(document(traits=replace(TRAITS, used_name="AUTRE")), (record(),)).integrate


# --- settings of the open questions -------------------------------------------------------------


def test_q09_the_birthplace_may_be_absent_but_never_different() -> None:
    policy = MatchPolicy(production=True, birthplace_required=False)
    absent = document(traits=replace(TRAITS, birth_place=""))
    other = document(traits=replace(TRAITS, birth_place="75101"))
    broken = document(traits=replace(TRAITS, birth_place="PARIS"))
    assert match(absent, (record(),), policy).level is Level.EXACT
    assert match(absent, (record(),), policy).integrate
    assert match(other, (record(),), policy).reason is Reason.INS_DIFFERS
    assert match(broken, (record(),), policy).reason is Reason.INS_INCOMPLETE


def test_q10_the_given_list_is_informative_unless_strict() -> None:
    base = (record(traits=replace(TRAITS, given_list="MAELYS LOUISE")),)
    decision = match(document(), base)
    assert decision.integrate
    assert decision.warnings == (Warn.GIVEN_LIST,)
    assert decision.findings[-1] == TraitFinding("given_list", Level.DIFFERENT)
    strict = match(document(), base, MatchPolicy(production=True, given_list_strict=True))
    assert strict.reason is Reason.INS_DIFFERS


def test_q10_a_first_given_name_is_deduced_only_where_allowed() -> None:
    identity = document(traits=replace(TRAITS, first_given=""))
    assert match(identity, (record(),)).reason is Reason.INS_INCOMPLETE
    deduced = match(identity, (record(),), MatchPolicy(production=True, deduce_first_given=True))
    assert deduced.integrate
    assert deduced.warnings == (Warn.DEDUCED_GIVEN,)


def test_q10_a_legacy_given_is_a_warning() -> None:
    assert match(document(legacy_given=True), (record(),)).warnings == (Warn.LEGACY_GIVEN,)


def test_q11_separators_may_be_strict() -> None:
    identity = document(traits=replace(TRAITS, birth_name="D'AUBRAC VALLON"))
    strict = MatchPolicy(production=True, separators_equivalent=False)
    assert match(identity, (record(),)).level is Level.SEPARATORS
    assert match(identity, (record(),), strict).reason is Reason.INS_DIFFERS


def test_q12_a_false_key_is_a_warning_or_a_refusal() -> None:
    base = (record(ins=(FALSE_KEY, NIR)),)
    assert match(document((FALSE_KEY, NIR)), base).warnings == (Warn.FALSE_KEY,)
    reject = MatchPolicy(production=True, reject_false_key=True)
    assert match(document((FALSE_KEY, NIR)), base, reject).reason is Reason.MATRICULE_MALFORMED


def test_q14_a_nia_that_became_a_nir_integrates_with_its_warning_or_is_refused() -> None:
    base = (record(aliases=((WAITING, NIA),)),)
    assert match(document((WAITING, NIA)), base).warnings == (Warn.NIA_ALIAS,)
    never = MatchPolicy(production=True, nia_alias=False)
    assert match(document((WAITING, NIA)), base, never).reason is Reason.INS_DIFFERS


def test_q14_a_nia_that_became_another_nia_is_refused() -> None:
    base = (record(ins=(OTHER_WAITING, NIA), aliases=((WAITING, NIA),)),)
    assert match(document((WAITING, NIA)), base).reason is Reason.INS_DIFFERS


@pytest.mark.parametrize("code", sorted(concordance.BLOCKING))
def test_q18_each_blocking_attribute_stops_the_match(code: str) -> None:
    base = (record(attributes=frozenset({code})),)
    assert match(document(), base).reason is Reason.FLAGGED
    assert match(document(), base, replace(PRODUCTION, blocking=frozenset())).integrate


@pytest.mark.parametrize("code", ["HOMD", "HOMA", "DPOT", "DOUA", "IDVER", "IDRA"])
def test_q18_an_informative_attribute_is_only_a_warning(code: str) -> None:
    decision = match(document(), (record(attributes=frozenset({code})),))
    assert decision.integrate
    assert decision.warnings == (Warn.ATTRIBUTES,)


@pytest.mark.parametrize("status", ["", "VIDE", "PROV", "RECD", "FILI"])
def test_only_vali_qualifies(status: str) -> None:
    assert match(document(), (record(status=status),)).reason is Reason.BASE_NOT_QUALIFIED


# --- who decides (Q-38) -------------------------------------------------------------------------

DPI = MatchPolicy(production=True, who="dpi")


@pytest.mark.parametrize(
    "identity",
    [document(), document((OWN, TEST)), document(metadata_patient=(OTHER, NIR))],
    ids=["unknown patient", "test INS", "metadata mismatch"],
)
def test_when_the_dpi_decides_a_complete_ins_is_sent_without_a_base(
    identity: DocumentIdentity,
) -> None:
    decision = match(identity, (), DPI)
    assert decision.integrate
    assert (decision.ipp, decision.record, decision.findings) == ("", None, ())
    assert concordance.traits_to_send(identity, decision) == identity.traits


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (document(("LAB-1", "2.25.1")), Reason.NO_INS),
        (document(traits=replace(TRAITS, sex="")), Reason.INS_INCOMPLETE),
        (document(record_targets=2), Reason.MULTIPLE_PATIENTS),
        (document((OWN, NIR), (OTHER, NIR)), Reason.INS_CONFLICT_IN_DOCUMENT),
        (document(("1", NIR)), Reason.MATRICULE_MALFORMED),
    ],
)
def test_when_the_dpi_decides_a_broken_document_still_stops_here(
    identity: DocumentIdentity, reason: Reason
) -> None:
    assert match(identity, (record(),), DPI).reason is reason


def test_what_is_sent_of_a_matched_patient_is_the_record_in_capitals() -> None:
    base = record(traits=replace(TRAITS, birth_name="d’Aubrac-Vallon", given_list="Maëlys, Anne"))
    identity = document(traits=replace(TRAITS, used_name="OTHER"))
    sent = concordance.traits_to_send(identity, match(identity, (base,)))
    assert sent.birth_name == "D'AUBRAC-VALLON"
    assert sent.first_given == "MAELYS"
    assert sent.given_list == "MAELYS ANNE"
    assert sent.used_name == "KERVENNIC"


# --- merges -------------------------------------------------------------------------------------


def chain(*ipps: str) -> dict[str, PatientRecord]:
    """IPP records each merged into the next; the last one is what it is given as."""
    return {ipp: record(ipp, active=False, merged_into=into) for ipp, into in pairwise(ipps)}


def test_merges_are_followed_to_the_survivor() -> None:
    base = chain("A", "B", "C") | {"C": record("C")}
    assert concordance.survivor(base["A"], base.get) == base["C"]


def test_a_circle_of_merges_has_no_survivor() -> None:
    base = chain("A", "B", "C", "A")
    assert concordance.survivor(base["A"], base.get) is None


def test_a_merge_into_nobody_and_a_closed_record_have_no_survivor() -> None:
    assert (
        concordance.survivor(record(merged_into="NOBODY"), dict[str, PatientRecord]().get) is None
    )
    assert concordance.survivor(record(status="DESA"), dict[str, PatientRecord]().get) is None


def test_a_chain_longer_than_the_limit_is_given_up() -> None:
    ipps = [f"P{n}" for n in range(concordance.MERGE_HOPS + 3)]
    base = chain(*ipps) | {ipps[-1]: record(ipps[-1])}
    assert concordance.survivor(base[ipps[0]], base.get) is None
    assert concordance.survivor(base[ipps[-1 - concordance.MERGE_HOPS]], base.get) is not None


def test_a_holder_merged_into_the_bearer_of_another_nir_is_refused() -> None:
    gone = record("GONE", active=False, merged_into="IPP1")
    survivor = record("IPP1", ins=(OTHER, NIR))
    assert match(document(), (gone, survivor)).reason is Reason.INS_DIFFERS


def test_a_holder_goes_before_the_bearer_of_an_alias() -> None:
    base = (record("ALIAS", ins=(OTHER, NIR), aliases=((OWN, NIR),)), record("HOLDER"))
    assert match(document(), base).ipp == "HOLDER"


def test_an_inactive_candidate_is_never_matched() -> None:
    sought = concordance.seek(document(), PRODUCTION)
    assert isinstance(sought, Sought)
    closed = concordance.Candidate(record(status="DESA"))
    decision = concordance.decide(document(), sought, (closed,), (), PRODUCTION)
    assert decision.reason is Reason.UNKNOWN_PATIENT


def test_an_inactive_twin_changes_nothing() -> None:
    base = (record(ins=(OTHER, NIR), active=False),)
    assert match(document(), base).reason is Reason.UNKNOWN_PATIENT


# --- what must always hold ----------------------------------------------------------------------

_names = st.sampled_from(
    ["D'AUBRAC-VALLON", "D AUBRAC VALLON", "DAUBRAC", "Dupré", "DUPRE", "", "?"]
)
_traits = st.builds(
    Traits,
    birth_name=_names,
    first_given=_names,
    given_list=_names,
    birth_date=st.sampled_from(["19850209", "198502091200", "19850902", "1985", ""]),
    sex=st.sampled_from(["F", "M", "UN", ""]),
    birth_place=st.sampled_from(["75056", "2a004", "2A004", ""]),
)
_ins = st.tuples(st.sampled_from([OWN, OLD, WAITING, "12"]), st.sampled_from([NIR, NIA, TEST, NSS]))
_records = st.builds(
    record,
    st.sampled_from(["IPP1", "IPP2", "IPP3"]),
    _ins,
    traits=_traits,
    status=st.sampled_from(["VALI", "VALI", "PROV", "DESA"]),
    attributes=st.frozensets(st.sampled_from(["DOUT", "HOMD"]), max_size=1),
    merged_into=st.sampled_from(["", "", "IPP2", "IPP3"]),
    aliases=st.lists(_ins, max_size=1).map(tuple),
)


@given(
    st.builds(document, _ins, traits=_traits),
    st.lists(_records, max_size=3, unique_by=lambda r: r.ipp),
)
def test_nothing_integrates_without_one_active_qualified_equal_record(
    identity: DocumentIdentity, base: list[PatientRecord]
) -> None:
    decision = match(identity, tuple(base))
    if not decision.integrate:
        return
    joined = decision.record
    assert joined in base
    assert joined is not None
    assert (joined.status, joined.merged_into, joined.active) == ("VALI", "", True)
    assert "DOUT" not in joined.attributes
    held = (joined.matricule, joined.oid)
    own = (identity.ids[0].extension, identity.ids[0].root)
    assert held == own or (own[1] == NIA and joined.oid == NIR)
    equal = [f.level.equal for f in decision.findings[:5]]
    assert equal == [True] * 5
