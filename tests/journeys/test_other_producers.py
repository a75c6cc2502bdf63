"""What others than `collect` bring: mails dropped into the bucket, garbage in bucket and queues."""

import hashlib

import pytest

from infra.local.hospital import DEMO_FALLBACK
from tests.data.builders import LEA
from tests.journeys.letters import STRANGER, fresh, letter, written
from tests.journeys.stage import eventually


@pytest.mark.parametrize("name", ["{}.eml", "dossier/dépôt 1+2 (copie) {}.eml"])
def test_a_mail_dropped_into_the_bucket_takes_its_route(stage, name):
    entry = written(LEA)
    mail = stage.drop(f"incoming/reception/{name.format(fresh())}", letter(entry))
    assert stage.settled(mail).route == "integrated"
    assert stage.received_by_dpi(entry.unique_id) == 1


def test_a_dropped_mail_is_forwarded_like_any_other(stage):
    raw = letter(written(STRANGER))
    mail = stage.drop(f"incoming/reception/{fresh()}.eml", raw)
    assert stage.settled(mail).route == "forwarded"
    assert len(stage.mails_at(DEMO_FALLBACK, raw)) == 1


def test_the_same_mail_dropped_and_collected_is_settled_once(stage):
    entry = written(LEA)
    raw = letter(entry)
    mail = stage.drop(f"incoming/reception/{fresh()}.eml", raw)
    stage.put(raw)
    assert stage.settled(mail).route == "integrated"
    assert stage.at_rest()
    assert stage.received_by_dpi(entry.unique_id) == 1


def test_garbage_dropped_as_a_mail_is_forwarded_with_its_reason(stage):
    mail = stage.drop(f"incoming/reception/{fresh()}.eml", bytes(range(256)) * 40)
    found = stage.settled(mail)
    assert (found.route, found.reason) == ("forwarded", "PFI-MAIL-03")


@pytest.mark.parametrize("folder", ["incoming/inconnue/", "incoming/"])
def test_a_mail_for_no_mailbox_of_ours_is_given_to_a_person(stage, folder):
    mail = stage.drop(f"{folder}{fresh()}.eml", letter(written(LEA)))
    assert stage.reviews(mail) == [("parse", "PFI-EDGE-07")]


def test_what_is_no_mail_by_its_name_is_left_alone(stage):
    mail = stage.drop(f"incoming/reception/{fresh()}.txt", b"note")
    assert stage.drop(f"ailleurs/{fresh()}.eml", b"note") == mail
    assert stage.at_rest()
    assert stage.ledger.mail(mail) is None


@pytest.mark.parametrize("queue", ["Parse", "Match", "Push", "Forward"])
@pytest.mark.parametrize("body", ["{}", "pas du JSON", '{"v": 99, "mail": "%064d"}', '[{"a": 1}]'])
def test_a_message_that_nobody_can_read_becomes_a_review_item(stage, queue, body):
    unique = body.replace("%064d", f"{fresh():064d}") + " " * fresh()
    stage.send(queue, unique)
    name = hashlib.sha256(unique.encode()).hexdigest()
    assert stage.reviews(name) == [(queue.lower(), "PFI-EDGE-08")]
    assert not any(stage.depths().values())


def test_a_job_for_a_mail_that_the_ledger_does_not_know_is_never_silent(stage):
    """It comes back (the row may be late), and ends with a person after the queue's patience.

    It was sent when the stage was set, for that takes a while.
    """
    assert eventually(lambda: stage.reviews(stage.lost), 90) == [("match", "PFI-EDGE-09")]


def test_a_job_that_is_repeated_at_the_end_changes_nothing(stage):
    entry = written(LEA)
    raw = letter(entry)
    [report] = stage.process(raw)
    for queue in ("Match", "Push", "Forward"):
        document = ', "document": 1' if queue == "Push" else ""
        stage.send(queue, f'{{"v": 1, "mail": "{report.mail}"{document}}}')
    stage.drop(f"incoming/reception/{report.mail}.eml", raw)
    assert stage.at_rest()
    assert stage.received_by_dpi(entry.unique_id) == 1
    assert stage.settled(report.mail).copies == 1
    assert stage.ledger.reviews(report.mail) == ()
