"""No settings are written under which mails would be without their way."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from infra.operations import deployment, stranding
from infra.operations.account import OperationRefused
from infra.operations.deployment import Grade
from infra.operations.flight import Flight
from infra.operations.stranding import refuse_to_strand, stranded
from pfi.edge.settings import dump_settings
from tests.doubles.drive import HOSPITAL

[BOX], [DPI] = HOSPITAL.mailboxes, HOSPITAL.dpis
SECOND = replace(DPI, id="second", host="second", receiving_application="OTHER")
BEFORE = replace(HOSPITAL, dpis=(DPI, SECOND))


def with_box(**changes):
    return replace(BEFORE, mailboxes=(replace(BOX, **changes),))


LOST = {
    "mailbox gone": replace(BEFORE, mailboxes=()),
    "DPI gone": replace(with_box(), dpis=(SECOND,)),
    "DPI gone with its mailbox turned": replace(with_box(dpi="second"), dpis=(SECOND,)),
    "another DPI": with_box(dpi="second"),
    "another establishment": with_box(establishment="other"),
}


@pytest.fixture
def under_way(monkeypatch):
    """Mails of each mailbox; what was looked at."""
    found = {"app": 2, "beside": 1}
    flight = Flight(queued={}, unsettled=found, reviews=0)
    monkeypatch.setattr(stranding, "in_flight", lambda _: flight)
    return found


@pytest.mark.parametrize("new", LOST.values(), ids=LOST)
def test_a_mailbox_with_mails_under_way_keeps_its_dpi_and_its_establishment(under_way, new):
    with pytest.raises(OperationRefused, match=r"autre établissement : « app » \(2\)\. Mettez"):
        refuse_to_strand(BEFORE, new, None)
    under_way.clear()
    refuse_to_strand(BEFORE, new, None)


@pytest.mark.parametrize(
    "new",
    [BEFORE, with_box(fallback="x@ch.mssante.fr"), replace(BEFORE, dpis=(DPI,))],
    ids=["nothing", "another fallback", "a DPI gone that served nobody"],
)
def test_what_leaves_the_mails_their_way_is_written_without_a_look_at_the_ledger(monkeypatch, new):
    monkeypatch.setattr(stranding, "in_flight", None)
    assert stranded(BEFORE, new, None) == ""


@pytest.mark.parametrize(("mails", "grades"), [({"app": 2}, [Grade.BAD]), ({}, [])])
def test_a_deployment_that_turns_a_mailbox_is_refused_while_its_mails_are_under_way(
    under_way, monkeypatch, mails, grades
):
    under_way.clear()
    under_way.update(mails)
    monkeypatch.setattr(deployment, "current_text", lambda _: dump_settings(BEFORE))
    for name in ("_certificates", "_doors", "_abandoned", "_renamed"):
        monkeypatch.setattr(deployment, name, lambda *_: ())
    for name in ("_quota", "_region"):
        monkeypatch.setattr(deployment, name, lambda *_: deployment.Check("", Grade.GOOD, ""))
    stack = SimpleNamespace(outputs={"MssanteSecret": "s"}, status="UPDATE_COMPLETE")
    monkeypatch.setattr(deployment, "find_stack", lambda *_: stack)
    hospital = SimpleNamespace(
        settings=with_box(dpi="second"), deployment=SimpleNamespace(name="pfi")
    )
    account = SimpleNamespace(who=lambda: "arn:ada", emulated=True)
    found = list(deployment.checks(hospital, account))
    assert [each.grade for each in found if each.subject == "courriels en cours"] == grades
