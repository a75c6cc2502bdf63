"""What the DPI may do with a message, through the deployed stack (hl7-mdm §5.5)."""

from infra.local.hospital import DEMO_FALLBACK
from pfi.journey.jobs import Job
from pfi.mail.inbound import read
from tests.data.builders import AISSATA, ANDRE, LEA, YANN
from tests.journeys.letters import letter, written
from tests.journeys.stage import eventually, outcomes


def answers_of(stage, report):
    """What the DPI said to each message about the first document of a mail, in order."""
    control_id = stage.ledger.document(report.mail, 1).record.control_id
    return [
        each["answer"] for each in stage.laptop.dpi.exchanges if each["control_id"] == control_id
    ]


def test_a_refusal_of_the_dpi_is_forwarded_and_told_with_its_code(stage):
    entry = written(AISSATA)
    rule = {"document": entry.unique_id, "answer": "AE", "err3": "207", "err5": "902"}
    with stage.dpi_plays(rule):
        [report] = stage.process(letter(entry))
    assert (report.route, report.reason, report.mdn) == ("forwarded", "902", "error")
    [document] = report.documents
    assert (document.integration, document.ack, document.code) == ("refused", "AE", "902")
    assert report.forwarded_to == DEMO_FALLBACK
    assert stage.received_by_dpi(entry.unique_id) == 0


def test_a_code_that_only_the_dpi_knows_passes_to_the_sender_as_it_is(stage):
    entry = written(AISSATA)
    raw = letter(entry)
    with stage.dpi_plays({"document": entry.unique_id, "answer": "AE", "err5": "950"}):
        [report] = stage.process(raw)
    assert (report.route, report.reason) == ("forwarded", "950")
    [mdn] = stage.mails_at(read(raw).sender, read(raw).message_id.encode())
    assert "[950]" in read(mdn).subject


def test_a_message_that_the_dpi_finds_malformed_is_for_a_person_and_nobody_is_answered(stage):
    entry = written(LEA)
    raw = letter(entry)
    with stage.dpi_plays({"document": entry.unique_id, "answer": "AE", "err3": "101"}):
        [report] = stage.process(raw)
    assert (report.route, report.reason, report.mdn) == ("review", "PFI-DPI-04", "none")
    assert stage.reviews(report.mail) == [("forward", "PFI-DPI-04")]
    assert stage.mails_at(read(raw).sender, read(raw).message_id.encode()) == []


def test_after_a_rejection_the_message_comes_back_and_is_accepted_once(stage):
    entry = written(LEA)
    with stage.dpi_plays({"document": entry.unique_id, "answer": "AR", "times": 1}):
        [report] = stage.process(letter(entry))
    assert (report.route, report.mdn) == ("integrated", "processed")
    assert answers_of(stage, report) == ["AR", "AA"]


def test_after_silence_the_same_bytes_are_sent_again(stage):
    entry = written(YANN)
    rule = {"document": entry.unique_id, "answer": "SILENCE", "times": 1, "seconds": 6}
    with stage.dpi_plays(rule):
        [report] = stage.process(letter(entry))
    assert report.route == "integrated"
    assert stage.sends(report.mail) == 2
    assert answers_of(stage, report) == ["SILENCE", "AA"]


def test_a_lost_answer_never_integrates_twice(stage):
    """The DPI accepted and the ACK was lost: it recognises the bytes that come again."""
    entry = written(YANN)
    before = stage.laptop.dpi.duplicates
    rule = {"document": entry.unique_id, "answer": "ACCEPT_THEN_DROP", "times": 1}
    with stage.dpi_plays(rule):
        [report] = stage.process(letter(entry))
    assert (report.route, report.mdn) == ("integrated", "processed")
    assert stage.received_by_dpi(entry.unique_id) == 1
    assert stage.laptop.dpi.duplicates == before + 1


def test_an_answer_for_another_message_is_no_answer(stage):
    entry = written(YANN)
    rule = {"document": entry.unique_id, "answer": "WRONG_ID", "accept": True, "times": 1}
    with stage.dpi_plays(rule):
        [report] = stage.process(letter(entry))
    assert report.route == "integrated"
    assert stage.received_by_dpi(entry.unique_id) == 1


def test_when_answers_stay_lost_a_person_is_told_that_it_may_be_in_the_dpi(stage):
    entry = written(ANDRE)
    raw = letter(entry)
    with stage.dpi_plays({"document": entry.unique_id, "answer": "DROP"}):
        [report] = stage.process(raw)
    assert (report.route, report.reason, report.mdn) == ("review", "PFI-DPI-03", "none")
    assert report.documents[0].integration == "unknown"
    assert stage.sends(report.mail) == 1 + stage.laptop.settings.dpis[0].resend_on_unknown
    assert stage.reviews(report.mail) == [("forward", "PFI-DPI-03")]
    assert stage.mails_at(read(raw).sender, read(raw).message_id.encode()) == []


def test_a_dpi_that_may_not_get_anything_twice_gets_it_once(stage):
    """`resend_on_unknown` 0: review at once."""
    entry = written(ANDRE)
    with stage.dpi_plays({"document": entry.unique_id, "answer": "DROP"}):
        [report] = stage.process(letter(entry), mailbox="prudent")
    assert (report.route, report.reason) == ("review", "PFI-DPI-03")
    assert stage.sends(report.mail) == 1


def test_one_document_refused_of_two_is_told_document_by_document(stage):
    """Q-19: the mail takes the worst; the other document is in the DPI."""
    good, bad = written(YANN), written(YANN)
    raw = letter(good, bad)
    with stage.dpi_plays({"document": bad.unique_id, "answer": "AE", "err5": "900"}):
        [report] = stage.process(raw)
    assert (report.route, report.reason) == ("forwarded", "900")
    assert [each.integration for each in report.documents] == ["integrated", "refused"]
    [mdn] = stage.mails_at(read(raw).sender, read(raw).message_id.encode())
    assert "- Document 1 : intégré" in read(mdn).text
    assert "- Document 2 : non intégré, code 900" in read(mdn).text


def test_mails_wait_for_a_dpi_that_is_away_and_all_arrive_once_it_is_back(stage):
    entries = [written(patient) for patient in (LEA, YANN, ANDRE, AISSATA)]
    later = written(LEA, version="2", parent=entries[0].unique_id, action="C")
    letters = [letter(entry) for entry in (*entries, later)]
    stage.laptop.dpi.stop()
    try:
        mails = [stage.put(raw) for raw in letters]
        tried = len(stage.told("JOB_RETRIED"))
        assert eventually(lambda: stage.depths("Queue")["Push"] == len(mails))
        assert eventually(lambda: len(stage.told("JOB_RETRIED")) > tried)
        states = [stage.ledger.mail(mail).record.state for mail in mails]
    finally:
        stage.laptop.dpi.start()
    records = [stage.settled(mail) for mail in mails]
    assert states == ["decided"] * len(mails)
    assert outcomes(records) == [("integrated", None)] * len(mails)
    assert [stage.received_by_dpi(each.unique_id) for each in (*entries, later)] == [1] * 5
    events = [
        each.event
        for each in stage.laptop.dpi.accepted
        if each.document in (entries[0].unique_id, later.unique_id)
    ]
    assert events == ["T02", "T10"]


def test_a_document_that_waited_longer_than_the_hold_is_given_to_a_person(stage):
    """Hold of this DPI: 4 s, elsewhere a day. It never took it, nobody is answered."""
    entry = written(LEA)
    with stage.dpi_plays({"document": entry.unique_id, "answer": "AR"}):
        [report] = stage.process(letter(entry), mailbox="prudent")
    assert report.route == "review"
    assert stage.reviews(report.mail) == [("push", "PFI-DPI-02")]
    assert stage.received_by_dpi(entry.unique_id) == 0


def test_a_document_whose_dpi_stayed_away_beyond_the_hold_goes_to_the_fallback_mailbox(stage):
    entry = written(LEA)
    stage.laptop.dpi.stop()
    try:
        [report] = stage.process(letter(entry), mailbox="prudent")
    finally:
        stage.laptop.dpi.start()
    assert (report.route, report.reason) == ("forwarded", "PFI-DPI-01")
    assert stage.reviews(report.mail) == []
    assert stage.received_by_dpi(entry.unique_id) == 0


def test_a_push_goes_through_the_lane_of_its_dpi(stage):
    """The queue of the step stays empty: it is for what an older version sent."""
    url = stage.laptop.outputs["QueuePushUrl"]
    lane = stage.laptop.outputs["QueuePushLanedpiUrl"]
    assert lane == f"{url}-dpi"
    stage.laptop.dpi.stop()
    try:
        mail = stage.put(letter(written(LEA)))
        assert eventually(lambda: stage.depths("Queue")["Push"] == 1)
        assert stage.laptop.client("sqs").receive_message(QueueUrl=url).get("Messages", []) == []
    finally:
        stage.laptop.dpi.start()
    assert stage.settled(mail).route == "integrated"


def test_a_job_that_an_older_version_left_in_the_queue_of_the_step_is_still_done(stage):
    """Such a job has no lane: its message lies in the queue of the step."""
    stage.laptop.dpi.stop()
    try:
        mail = stage.put(letter(written(YANN)))
        assert eventually(lambda: stage.depths("Queue")["Push"] == 1)
        stage.laptop.client("sqs").purge_queue(QueueUrl=stage.laptop.outputs["QueuePushLanedpiUrl"])
    finally:
        stage.laptop.dpi.start()
    stage.laptop.client("sqs").send_message(
        QueueUrl=stage.laptop.outputs["QueuePushUrl"], MessageBody=Job(mail, 1).dump()
    )
    assert stage.settled(mail).route == "integrated"


def test_bytes_that_are_no_answer_at_all_leave_the_outcome_unknown(stage):
    entry = written(ANDRE)
    with stage.dpi_plays({"document": entry.unique_id, "answer": "GARBAGE"}):
        [report] = stage.process(letter(entry), mailbox="prudent")
    assert (report.route, report.reason) == ("review", "PFI-DPI-03")
