"""One mail for each route through the deployed stack, and what everybody received of it."""

import pytest

from infra.cli.up import outcome
from infra.local.demo import SENDER
from infra.local.hospital import DEMO_FALLBACK, DEMO_MAILBOX
from pfi.mail.compose import outgoing_id
from pfi.mail.inbound import read
from pfi.mail.rules import archives
from tests.data.builders import LEA, YANN
from tests.journeys.letters import CATALOGUE, STRANGER, letter, written
from tests.journeys.stage import digest_of, eventually, outcomes


@pytest.mark.parametrize("name", [case.name for case in CATALOGUE])
def test_each_mail_takes_its_route_with_its_reason_code(catalogue, name):
    case, _, report = catalogue[name]
    assert outcome(report) == case.expected


def test_after_all_of_them_every_queue_and_dead_letter_queue_is_empty(stage, catalogue):
    assert catalogue
    assert stage.at_rest()


def test_no_mail_of_the_catalogue_met_an_unexpected_error(stage, catalogue):
    mails = {digest_of(raw) for _, raw, _ in catalogue.values()}
    failed = [line for line in stage.log_lines() if "JOB_FAILED" in line]
    assert [line for line in failed if any(mail in line for mail in mails)] == []
    assert all(stage.told_of(mail) for mail in sorted(mails)[:3])


# what the sender gets


def answers(stage, raw):
    """Answers to this mail that lie in the sender's mailbox."""
    return [read(each) for each in stage.mails_at(SENDER, read(raw).message_id.encode())]


def test_the_mdn_processed_has_three_parts_and_the_original_byte_for_byte(stage, catalogue):
    _, raw, _ = catalogue["nouveau"]
    [mdn] = answers(stage, raw)
    kinds = ["text/plain", "message/disposition-notification", "message/rfc822"]
    assert [part.content_type for part in mdn.parts] == kinds
    assert (mdn.content_type, mdn.report_type) == (
        "multipart/report",
        "disposition-notification",
    )
    assert mdn.content(mdn.parts[2]) == raw
    assert mdn.subject == read(raw).subject
    assert (mdn.sender, mdn.recipients, mdn.return_path) == (DEMO_MAILBOX, (SENDER,), "")
    assert mdn.header("in-reply-to") == read(raw).message_id


def test_the_fields_of_the_mdn_name_the_mailbox_and_the_original(stage, catalogue):
    _, raw, _ = catalogue["nouveau"]
    [mdn] = answers(stage, raw)
    fields = dict(
        line.split(": ", 1) for line in mdn.content(mdn.parts[1]).decode("ascii").splitlines()
    )
    assert fields == {
        "Reporting-UA": "ch-demo.mssante.test; PFI",
        "Original-Recipient": f"rfc822;{DEMO_MAILBOX}",
        "Final-Recipient": f"rfc822;{DEMO_MAILBOX}",
        "Original-Message-ID": read(raw).message_id,
        "Disposition": "automatic-action/MDN-sent-automatically; processed",
    }


def test_the_mdn_error_gives_the_outward_code_in_its_error_field(stage, catalogue):
    _, raw, _ = catalogue["902"]
    [mdn] = answers(stage, raw)
    block = mdn.content(mdn.parts[1]).decode("ascii")
    assert "; processed/error\r\n" in block
    assert "Error: 902^Identifiant patient inconnu^" in block
    assert "[902]" in mdn.subject


def test_a_reason_of_our_own_never_leaves_the_hospital(stage, catalogue):
    """Outside it is 906 (ins-matching §4.8)."""
    _, raw, _ = catalogue["base non qualifiée"]
    [mdn] = answers(stage, raw)
    assert "[906]" in mdn.subject
    assert b"PFI-ID-01" not in mdn.raw.replace(raw, b"")


def test_without_mdn_asked_the_sender_gets_nothing(stage, catalogue):
    _, raw, _ = catalogue["sans MDN"]
    assert answers(stage, raw) == []


def test_two_documents_are_one_mdn(stage, catalogue):
    _, raw, report = catalogue["deux documents"]
    assert [each.ack for each in report.documents] == ["AA", "AA"]
    assert len(answers(stage, raw)) == 1


def test_an_mdn_asked_for_somebody_else_waits_for_a_person(stage, catalogue):
    _, _, report = catalogue["MDN vers un tiers"]
    assert stage.reviews(report.mail) == [("forward", "PFI-MAIL-05")]
    assert stage.mails_at("autre@labo-demo.mssante.test") == []


def test_without_fallback_the_sender_gets_the_failure_notice_with_the_original(stage, catalogue):
    _, raw, report = catalogue["sans repli ni MDN"]
    [notice] = answers(stage, raw)
    assert (report.forwarded_to, report.replied_to) == (None, SENDER)
    assert notice.subject.startswith("[KO Intégration système !][905] XDM/1.0/DDM+")
    assert raw in notice.raw
    assert notice.return_path == ""


def test_without_fallback_the_mdn_error_is_the_only_answer(stage, catalogue):
    _, raw, _ = catalogue["sans repli, avec MDN"]
    [mdn] = answers(stage, raw)
    assert "; processed/error" in mdn.content(mdn.parts[1]).decode()
    assert stage.mails_at(DEMO_FALLBACK, raw) == []


def test_without_fallback_and_without_an_answer_allowed_a_person_must_look(stage, catalogue):
    _, raw, report = catalogue["sans repli ni réponse possible"]
    assert answers(stage, raw) == []
    assert stage.reviews(report.mail) == [("forward", "PFI-MAIL-06")]


# what the fallback mailbox gets

FORWARDED = [
    (case.name, case.expected.split()[2])
    for case in CATALOGUE
    if case.expected.startswith("forwarded")
]


@pytest.mark.parametrize(("name", "reason"), FORWARDED)
def test_the_forward_says_why_and_holds_the_original_byte_for_byte(stage, catalogue, name, reason):
    _, raw, report = catalogue[name]
    mails = [read(each) for each in stage.mails_at(DEMO_FALLBACK, report_id(stage, report.mail))]
    [forward] = mails
    code = reason if reason.isdigit() else "906"
    assert forward.subject.startswith(f"[A intégrer manuellement][{code}] ")
    assert forward.header("x-pfi-reason").split()[0] == code
    assert reason in forward.header("x-pfi-reason")
    whole = [part for part in forward.parts if part.content_type == "message/rfc822"]
    whole += [part for part in forward.parts if part.filename.endswith(".eml")]
    assert raw in [forward.content(part) for part in whole]
    assert (forward.sender, forward.recipients) == (DEMO_MAILBOX, (DEMO_FALLBACK,))


def report_id(stage, mail):
    """The Message-ID of our forward of this mail: stable, so it can be computed."""
    return outgoing_id("forward", mail, DEMO_FALLBACK, "ch-demo.mssante.test").encode()


@pytest.mark.parametrize("name", ["902", "904", "masqué aux professionnels", "empreinte fausse"])
def test_the_archive_is_attached_to_the_forward_byte_for_byte(stage, catalogue, name):
    _, raw, report = catalogue[name]
    [forward] = stage.mails_at(DEMO_FALLBACK, report_id(stage, report.mail))
    assert archives(read(forward)) == archives(read(raw))


# what the DPI gets


def test_the_dpi_gets_the_document_byte_for_byte(stage, catalogue):
    entry = written(LEA)
    [report] = stage.process(letter(entry))
    [accepted] = [
        each for each in stage.laptop.dpi.accepted if each.document == report.documents[0].id
    ]
    assert accepted.cda_sha256 == digest_of(entry.content)
    assert accepted.event == "T02"


@pytest.mark.parametrize("name", ["902", "masqué aux professionnels", "expéditeur inconnu"])
def test_what_is_not_integrated_never_reaches_the_dpi(stage, catalogue, name):
    _, _, report = catalogue[name]
    documents = {each.document for each in stage.laptop.dpi.accepted}
    assert not documents & {each.id for each in report.documents}
    codes = stage.told_of(report.mail)
    assert not codes & {"DOCUMENT_INTEGRATED", "DOCUMENT_REFUSED", "DOCUMENT_UNKNOWN"}


# the same mail again, and technical mails


def test_the_same_bytes_twice_are_a_duplicate_and_settled_once(stage):
    raw = letter(written(LEA))
    first, again = stage.process(raw, raw)
    assert outcomes([first, again]) == [("integrated", None), ("duplicate", "PFI-MAIL-08")]
    assert len(answers(stage, raw)) == 1
    assert stage.received_by_dpi(first.documents[0].id) == 1


def test_the_same_message_id_behind_other_trace_headers_is_a_duplicate(stage):
    raw = letter(written(YANN))
    again = b"Received: from relais by operateur; Thu, 14 May 2026 09:31:50 +0200\r\n" + raw
    reports = stage.process(raw, again)
    assert outcomes(reports) == [("integrated", None), ("duplicate", "PFI-MAIL-08")]
    assert stage.received_by_dpi(reports[0].documents[0].id) == 1


def test_the_same_document_in_another_mail_is_answered_and_not_sent_again(stage):
    entry = written(YANN)
    reports = stage.process(letter(entry), letter(entry))
    assert outcomes(reports) == [("integrated", None)] * 2
    assert [each.mdn for each in reports] == ["processed"] * 2
    assert stage.received_by_dpi(reports[0].documents[0].id) == 1


def test_a_replacement_and_a_deletion_follow_their_parent_into_the_dpi(stage):
    first = written(LEA)
    parent = first.unique_id
    later = written(LEA, version="2", parent=parent, action="C")
    gone = written(LEA, document_id=later.unique_id, version="2", parent=parent, action="D")
    reports = stage.process(letter(first), letter(later), letter(gone))
    assert outcomes(reports) == [("integrated", None)] * 3
    wanted = {parent, later.unique_id}
    events = [each.event for each in stage.laptop.dpi.accepted if each.document in wanted]
    assert events == ["T02", "T10", "T04"]


def test_an_unknown_sender_is_kept_for_a_person_and_gets_no_answer(stage, catalogue):
    _, _, report = catalogue["expéditeur inconnu"]
    assert stage.reviews(report.mail) == [("parse", "PFI-MAIL-01")]
    assert stage.mails_at("x@pirate.example") == []


def test_our_own_mdn_that_comes_back_is_filed(stage, catalogue):
    _, raw, _ = catalogue["nouveau"]
    [mdn] = stage.mails_at(SENDER, read(raw).message_id.encode())
    [report] = stage.process(mdn)
    assert (report.route, report.reason) == ("filed", "PFI-MAIL-02")


def test_a_forward_that_bounces_brings_its_mail_back_to_a_person(stage):
    raw = letter(written(STRANGER), mdn=False)
    stage.laptop.operator.faults.full_mailboxes.add(DEMO_FALLBACK)
    try:
        [report] = stage.process(raw)
    finally:
        stage.laptop.operator.faults.clear()
    assert (report.route, report.forwarded_to) == ("forwarded", DEMO_FALLBACK)

    def bounced():
        stage.collect()
        return stage.reviews(report.mail)

    assert eventually(bounced) == [("forward", "PFI-MAIL-07")]
    assert eventually(lambda: stage.ledger.mail(report.mail).record.review)


def test_a_relay_that_refuses_the_fallback_leaves_the_mail_to_a_person(stage):
    stage.laptop.operator.faults.smtp_refused.add(DEMO_FALLBACK)
    try:
        [report] = stage.process(letter(written(STRANGER), mdn=False))
    finally:
        stage.laptop.operator.faults.clear()
    assert (report.route, report.forwarded_to) == ("review", None)
    assert stage.reviews(report.mail) == [("forward", "PFI-EDGE-03")]


def test_a_relay_that_is_busy_gets_the_same_forward_once_it_is_not(stage):
    raw = letter(written(STRANGER), mdn=False)
    stage.laptop.operator.faults.smtp_temporary = 2
    [report] = stage.process(raw)
    assert (report.route, report.reason) == ("forwarded", "902")
    assert len(stage.mails_at(DEMO_FALLBACK, raw)) == 1
