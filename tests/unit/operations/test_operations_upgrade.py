"""Messages in the queues survive an upgrade: version N+1 reads what version N wrote."""

import json

import pytest

from pfi.errors import Unreadable
from pfi.journey import jobs
from pfi.journey.jobs import Job, load

MAIL = "0123456789abcdef" * 4
WRITTEN = {
    1: (
        ('{"v": 1, "mail": "%s"}' % MAIL, Job(MAIL)),  # noqa: UP031 (braces are JSON here)
        ('{"v": 1, "mail": "%s", "document": 2}' % MAIL, Job(MAIL, 2)),  # noqa: UP031
    ),
}
"""Bodies as each version wrote them. Never changed; a new schema adds its own."""


@pytest.mark.parametrize("version", WRITTEN)
def test_a_message_of_an_older_version_is_read(version):
    for body, job in WRITTEN[version]:
        assert load(body) == job


def test_the_next_version_reads_the_messages_of_this_one(monkeypatch):
    bodies = [Job(MAIL).dump(), Job(MAIL, 3).dump()]
    monkeypatch.setattr(jobs, "SCHEMA", jobs.SCHEMA + 1)
    assert [load(each) for each in bodies] == [Job(MAIL), Job(MAIL, 3)]


def test_every_schema_has_its_written_messages():
    assert set(WRITTEN) == set(range(1, jobs.SCHEMA + 1))
    assert json.loads(Job(MAIL).dump()) == json.loads(WRITTEN[jobs.SCHEMA][0][0])


def test_a_message_of_a_newer_version_goes_to_review_and_is_not_guessed():
    with pytest.raises(Unreadable):
        load(json.dumps({"v": jobs.SCHEMA + 1, "mail": MAIL}))


def test_a_field_that_a_newer_minor_writes_does_not_disturb():
    assert load(json.dumps({"v": 1, "mail": MAIL, "hint": "x"})) == Job(MAIL)
