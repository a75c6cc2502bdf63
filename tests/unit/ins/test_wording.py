import pytest

from pfi.ins.traits import Level
from pfi.ins.wording import ADVICE_FR, LABELS_FR, LEVELS_FR
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
