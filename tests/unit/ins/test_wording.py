import pytest

from pfi.ins.traits import Level
from pfi.ins.wording import (
    ADVICE_FR,
    CHECKED_FR,
    LABELS_FR,
    LEVELS_FR,
    TRAITS_FR,
    checks,
)
from pfi.names import OUTWARD_LABELS, Reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_label_and_an_advice(reason: Reason) -> None:
    assert LABELS_FR[reason].strip()
    assert ADVICE_FR[reason].endswith(".")


def test_no_two_reasons_share_a_label() -> None:
    assert len(set(LABELS_FR.values())) == len(Reason)


@pytest.mark.parametrize("reason", [r for r in Reason if r.value.isdigit()])
def test_the_codes_of_the_volet_keep_its_labels(reason: Reason) -> None:
    assert LABELS_FR[reason] == OUTWARD_LABELS[reason.value]


def test_every_level_of_equality_has_a_wording() -> None:
    assert set(LEVELS_FR) == set(Level)


def test_a_difference_is_checked_trait_by_trait_in_the_systems_that_hold_it() -> None:
    findings = [("birth_date", Level.DIFFERENT), ("sex", Level.EXACT)]
    [told] = checks("904", findings)
    assert told.startswith(CHECKED_FR["birth_date"])
    assert "DPI" in told
    assert "INSi" in told


def test_a_trait_that_the_document_lacks_is_the_senders_to_mend() -> None:
    [told] = checks("905", [("birth_place", Level.MISSING)])
    assert "expéditeur" in told


def test_a_trait_that_the_base_lacks_is_ours_to_mend() -> None:
    [told] = checks("PFI-ID-09", [("birth_place", Level.MISSING), ("sex", Level.EXACT)])
    assert "à compléter dans l'identité du DPI" in told


def test_a_904_without_a_differing_trait_is_about_the_matricule_or_about_two_bases() -> None:
    assert "le matricule" in checks("904", [])[0]
    assert "base patients" in checks("904", [("sex", Level.EXACT)])[0]


def test_other_reasons_name_no_trait() -> None:
    assert checks("902", [("sex", Level.DIFFERENT)]) == ()


def test_every_trait_that_is_compared_says_what_to_look_at() -> None:
    assert set(CHECKED_FR) == set(TRAITS_FR)
