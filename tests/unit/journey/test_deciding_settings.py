"""Each setting that changes a decision, on one invented case: by default, and with another value.

What each other value risks stands in docs/reference/settings.md.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from pfi.adapters.csv_patients import ListedPatients
from pfi.ins.identity import DocumentIdentity, PatientRecord
from pfi.journey.identification import identify, match_policy
from pfi.journey.settings import MatchSettings, Settings
from pfi.names import Reason, Route
from tests.data.builders import LEA
from tests.data.builders import document as entry
from tests.doubles.drive import HOSPITAL, Drive
from tests.unit.ins.people import FALSE_KEY, NIA, NIR, OWN, TRAITS, WAITING, document, record
from tests.unit.journey.test_routes import letter

INTEGRATED = "integrated"


@dataclass(frozen=True)
class Case:
    """One document before one base, and how two values of a setting decide."""

    setting: str
    value: Any
    identity: DocumentIdentity
    base: PatientRecord
    by_default: Reason | str
    otherwise: Reason | str


def written(**traits: str) -> DocumentIdentity:
    return document(traits=replace(TRAITS, **traits))


CASES = (
    Case(
        "separators",
        "strict",
        written(birth_name="D AUBRAC VALLON"),
        record(),
        INTEGRATED,
        Reason.INS_DIFFERS,
    ),
    Case(
        "key",
        "reject",
        document((FALSE_KEY, NIR)),
        record(ins=(FALSE_KEY, NIR)),
        INTEGRATED,
        Reason.MATRICULE_MALFORMED,
    ),
    Case(
        "birthplace",
        "if_present",
        written(birth_place=""),
        record(),
        Reason.INS_INCOMPLETE,
        INTEGRATED,
    ),
    Case(
        "given_list",
        "strict",
        written(given_list="MAËLYS JEANNE"),
        record(),
        INTEGRATED,
        Reason.INS_DIFFERS,
    ),
    Case(
        "nia_alias",
        False,
        document((WAITING, NIA)),
        record(ins=(OWN, NIR), aliases=((WAITING, NIA),)),
        INTEGRATED,
        Reason.INS_DIFFERS,
    ),
    Case(
        "deduce_first_given",
        True,
        written(first_given=""),
        record(),
        Reason.INS_INCOMPLETE,
        INTEGRATED,
    ),
    Case(
        "blocking",
        ("FICT",),
        document(),
        record(attributes=frozenset({"DOUT"})),
        Reason.FLAGGED,
        INTEGRATED,
    ),
    Case(
        "who",
        "dpi",
        written(birth_date="19850902"),
        record(),
        Reason.INS_DIFFERS,
        INTEGRATED,
    ),
)


def decided(case: Case, match: MatchSettings) -> Reason | str | None:
    policy = match_policy(Settings(match=match))
    decision = identify(case.identity, "ch", ListedPatients((case.base,)), policy)
    return INTEGRATED if decision.integrate else decision.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.setting)
def test_a_setting_that_changes_a_decision_changes_this_one(case: Case) -> None:
    assert decided(case, MatchSettings()) == case.by_default
    assert decided(case, replace(MatchSettings(), **{case.setting: case.value})) == case.otherwise


def test_every_setting_of_the_match_has_its_case() -> None:
    elsewhere = {"grace_s"}  # it changes when, not what: tests/unit/journey/test_grace.py
    assert {case.setting for case in CASES} | elsewhere == {f.name for f in fields(MatchSettings)}


@pytest.mark.parametrize(
    ("who", "code", "warned"),
    [("both", "904", True), ("dpi", "904", False), ("pfi", "906", True)],
)
def test_q38_the_code_of_the_dpi_wins_unless_the_pfi_alone_decides(who, code, warned):
    drive = Drive(replace(HOSPITAL, match=MatchSettings(who=who)))
    drive.ports.hospital.answers = ["AE 207 904"]
    [mail] = drive.process(letter(entry(LEA)))
    [refused] = drive.documents(mail)
    assert (mail.route, mail.reason, refused.code) == (Route.FORWARDED, code, "904")
    assert ("base_differs_from_dpi" in refused.warnings) is warned
    assert f"X-PFI-Reason: {code} {code}".encode() in drive.ports.outbox.sent[0].content
