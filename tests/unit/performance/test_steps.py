"""What one mail is charged with: as AWS counts, and as the table of prices says."""

import pytest

from infra.local.invented.mails import mail
from infra.operations.cost import read_prices
from pfi.journey.ports import Change, Put, Row
from pfi.journey.records import Dossier, MailFacts
from tests.performance.corpus import L1_300K, archive
from tests.performance.steps import JOURNEY, Tally, one_mail

KB = "x" * 1024
OPEN, ENDED = ("MAIL#open#0", "1"), ("MESSAGE#0", "1")


def noted(port, method, given, answer):
    tally = Tally()
    with tally.of("push"):
        tally.note(port, method, given, answer)
    return tally


@pytest.fixture(scope="module")
def asking():
    return one_mail(L1_300K.raw)


@pytest.fixture(scope="module")
def silent():
    return one_mail(mail(archive(L1_300K.document), mdn=False))


def test_the_counts_in_the_table_of_prices_are_those_of_a_mail_that_asks_for_an_answer(asking):
    counted = asking.mail()
    assert {name: read_prices().mail[name] for name in counted} == counted


def test_the_usual_mail_is_twelve_calls_and_no_job_of_forward(silent):
    """The same that tests/contracts/test_call_budget.py counts through the adapters."""
    calls = {step: silent.tally.aws(step) for step in JOURNEY}
    assert calls == {"collect": 2, "parse": 2, "match": 4, "push": 4, "forward": 0}
    assert silent.mail()["jobs"] == 3
    assert silent.mail()["gets"] == 3


def test_a_poll_of_an_empty_mailbox_is_not_charged_to_the_mail(asking):
    collect = asking.tally.spent["collect"]
    assert asking.tally.spent.keys() == set(JOURNEY)
    assert collect.calls["table", "get"] == collect.units["reads"] == 0
    assert collect.calls["table", "write"] == 1


def test_a_batch_rounds_each_row_up_and_a_query_their_sum():
    rows = tuple(Row("pk", f"{n}", 1, {"text": KB}) for n in range(3))
    assert noted("table", "get_all", (), (*rows, None)).units("reads") == 4
    assert noted("table", "partition", ("pk",), rows).units("reads") == 1
    long = Row("pk", "sk", 1, {"text": 4 * KB})
    assert noted("table", "get_all", (), (long, rows[0])).units("reads") == 3


@pytest.mark.parametrize(("documents", "gets", "puts"), [(1, 1, 1), (2, 2, 3)])
def test_documents_of_several_lie_beside_their_dossier(documents, gets, puts):
    dossier = Dossier(facts=MailFacts(), documents=(None,) * documents)
    assert (
        noted("store", "document", ("key", 1), (dossier, b"")).service("store", "document") == gets
    )
    stored = noted("store", "put_dossier", ("key", dossier, (b"",) * documents), True)
    assert stored.service("store", "put_dossier") == puts


def test_a_transaction_counts_twice_and_the_index_once_for_each_place_left_or_taken():
    tally = Tally()
    arrived = Put("MAIL#0", "MAIL", {"state": "received"}, None, None, OPEN)
    ended = Put("MAIL#0", "MAIL", {"state": "settled"}, 2, None, ENDED)
    change = Change("MAIL#0", "MAIL", {}, {"text": KB})
    with tally.of("push"):
        for write, writes, index_writes in ((arrived, 1, 1), (change, 4, 2), (ended, 1, 2)):
            before = tally.units("writes"), tally.units("index_writes")
            tally.note("table", "write", (write,), True)
            assert tally.units("writes") - before[0] == writes
            assert tally.units("index_writes") - before[1] == index_writes
        tally.note("table", "write", (ended, Put("SAME#0", "SAME", {})), True)
    assert (tally.units("writes"), tally.units("index_writes")) == (6 + 4, 5 + 1)
