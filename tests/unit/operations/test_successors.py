"""A DPI under a new id would get its documents twice: the installation refuses the new name."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from infra.cli.config import EXAMPLE
from infra.operations import configuration, deployment
from infra.operations.account import OperationRefused
from infra.operations.coherence import review
from infra.operations.deployment import Check, Grade
from infra.operations.successors import refuse_a_new_name, sentence, successors
from pfi.edge.settings import dump_settings
from tests.data.builders import LEA, document
from tests.doubles.drive import HOSPITAL, Drive
from tests.unit.journey.test_routes import letter

DPI = HOSPITAL.dpis[0]
HOSPITAL_FILE = review(EXAMPLE.read_text(encoding="utf-8")).hospital
ELSEWHERE = {"host": "elsewhere", "receiving_application": "OTHER"}


def with_dpis(*dpis, served=None):
    """The hospital with these DPIs; its mailbox goes to the first, or to `served`."""
    [mailbox] = HOSPITAL.mailboxes
    mailbox = replace(mailbox, dpi=served or dpis[0].id)
    return replace(HOSPITAL, dpis=dpis, mailboxes=(mailbox,))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"receiving_application": "OTHER"},
        {"host": "DPI", "receiving_facility": "OTHER"},
        {"host": "elsewhere", "port": 1},
    ],
    ids=["nothing else", "same address", "same address, other case", "same names"],
)
def test_a_new_id_at_the_same_address_or_under_the_same_names_is_the_same_dpi(changes):
    new = with_dpis(replace(DPI, id="new", **changes))
    assert list(successors(HOSPITAL, new)) == [("dpi", "new")]


def test_a_mailbox_turned_to_a_second_name_of_its_dpi_is_found_although_the_first_stays():
    new = with_dpis(DPI, replace(DPI, id="new"), served="new")
    assert list(successors(HOSPITAL, new)) == [("dpi", "new")]


def test_a_dpi_renamed_together_with_its_mailbox_is_found():
    new = with_dpis(replace(DPI, id="new"))
    new = replace(new, mailboxes=(replace(new.mailboxes[0], id="box"),))
    assert list(successors(HOSPITAL, new)) == [("dpi", "new")]


@pytest.mark.parametrize(
    "new",
    [
        HOSPITAL,
        with_dpis(replace(DPI, host="moved", port=9, receiving_facility="NEW")),
        with_dpis(replace(DPI, id="new", **ELSEWHERE)),
        with_dpis(DPI, replace(DPI, id="second", **ELSEWHERE)),
        with_dpis(DPI, replace(DPI, id="twin")),
    ],
    ids=["nothing", "moved under its id", "another DPI instead", "another beside", "a twin beside"],
)
def test_every_other_change_of_the_dpis_is_free(new):
    assert list(successors(HOSPITAL, new)) == []


def test_a_dpi_that_leaves_with_its_mailbox_is_not_taken_for_one_that_was_always_there():
    [mailbox] = HOSPITAL.mailboxes
    other = replace(mailbox, id="other", dpi="twin")
    twin = replace(DPI, id="twin")
    before = replace(HOSPITAL, dpis=(DPI, twin), mailboxes=(mailbox, other))
    after = replace(HOSPITAL, dpis=(twin,), mailboxes=(other,))
    assert list(successors(before, after)) == []


def test_it_is_refused_with_the_reason_and_the_way_out_until_a_person_says_it_is_another_dpi():
    new = with_dpis(replace(DPI, id="new"))
    with pytest.raises(OperationRefused, match=r"intégré deux fois.*Gardez.*--other-dpi"):
        refuse_a_new_name(HOSPITAL, new, other_dpi=False)
    refuse_a_new_name(HOSPITAL, new, other_dpi=True)
    assert "« dpi » devient « new »" in sentence([("dpi", "new")])


class Installed:
    """A stack with the settings of the example file."""

    name = HOSPITAL_FILE.deployment.name
    account = SimpleNamespace(emulated=True)
    status = "UPDATE_COMPLETE"
    outputs = {"MssanteSecret": "s"}  # noqa: RUF012 (never written)


def renamed():
    first, *rest = HOSPITAL_FILE.dpis
    boxes = (
        replace(each, dpi="new" if each.dpi == first.id else each.dpi)
        for each in HOSPITAL_FILE.mailboxes
    )
    dpis = (replace(first, id="new"), *rest)
    return replace(HOSPITAL_FILE, dpis=dpis, mailboxes=tuple(boxes))


@pytest.fixture
def installed(monkeypatch):
    def text(_stack):
        return dump_settings(HOSPITAL_FILE.settings)

    monkeypatch.setattr(configuration, "settings_text", text)
    monkeypatch.setattr(deployment, "current_text", text)
    monkeypatch.setattr(configuration, "refuse_to_strand", lambda *_: None)
    monkeypatch.setattr(configuration, "_pending", lambda *_: ())
    return Installed()


def test_config_push_refuses_a_new_name_and_takes_it_with_the_word(installed):
    with pytest.raises(OperationRefused, match="« dpi-ch » devient « new »"):
        configuration.push(renamed(), installed, dry_run=True)
    assert configuration.push(renamed(), installed, dry_run=True, other_dpi=True).changed


@pytest.mark.parametrize(
    ("hospital", "other_dpi", "grades"),
    [
        (HOSPITAL_FILE, False, []),
        (renamed(), False, [Grade.BAD]),
        (renamed(), True, [Grade.TO_KNOW]),
    ],
)
def test_a_deployment_is_refused_by_it_and_told_of_it_with_the_word(
    installed, monkeypatch, hospital, other_dpi, grades
):
    for name in ("_certificates", "_doors", "_abandoned", "_stranded"):
        monkeypatch.setattr(deployment, name, lambda *_: ())
    monkeypatch.setattr(deployment, "_quota", lambda *_: Check("quota", Grade.GOOD, ""))
    monkeypatch.setattr(deployment, "find_stack", lambda *_: installed)
    account = SimpleNamespace(who=lambda: "arn:ada", region="eu-west-3", emulated=True)
    found = deployment.checks(hospital, account, other_dpi=other_dpi)
    assert [each.grade for each in found if each.subject == "DPI renommé"] == grades


def test_why_under_a_new_id_a_document_that_was_integrated_is_integrated_again():
    """If this fails the rule is no longer needed."""
    one = Drive()
    one.process(letter(document(LEA), message_id="<a@l.fr>"))
    one.ports.settings = with_dpis(replace(DPI, id="new"))
    one.process(letter(document(LEA), message_id="<b@l.fr>"))
    assert len(one.ports.hospital.accepted) == 2
