"""A mail of as many documents as are read: a person sends it back or closes it all the same."""

from dataclasses import replace
from itertools import chain, count

import pytest

from infra.operations.transactions import MOST_WRITES, transactions
from pfi.journey.ports import Put
from pfi.journey.reading import MAX_DOCUMENTS
from pfi.journey.records import MailState
from pfi.names import Integration, Route
from tests.data.builders import LEA, document
from tests.doubles.meddling import Died
from tests.unit.journey.test_accounts import named
from tests.unit.operations.test_reviews import SIGNED, Hospital, letter

HELD = ["AR"]
REFUSED = ["AE 101"]


def whole(number):
    return letter(
        *(document(LEA, document_id=f"2.25.8.{k}", set_id=f"2.25.8.{k}") for k in range(number))
    )


def reviewed(answers):
    """All documents of a mail are held too long, or refused for a fault that was repaired."""
    one = Hospital()
    dpis = (replace(one.ports.settings.dpis[0], hold_s=60),)
    one.ports.settings = replace(one.ports.settings, dpis=dpis)
    one.ports.hospital.answers = answers * MAX_DOCUMENTS * 4
    [found] = one.process(whole(MAX_DOCUMENTS))
    assert one.waiting()
    one.ports.hospital.answers = []
    return one, found.mail


def stops_before(one, call):
    """The command is killed before its so-manyth transaction of several rows."""
    write, calls = one.ports.table.write, count(1)

    def dying(*writes):
        if len(writes) > 1 and next(calls) == call:
            one.ports.table.write = write
            raise Died
        return write(*writes)

    one.ports.table.write = dying


def done(one, act, mail, stopped):
    if stopped:
        stops_before(one, stopped)
        with pytest.raises(Died):
            act(mail, *SIGNED)
        assert one.waiting(), "in the list still"
        one.work()
    act(mail, *SIGNED)


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_documents_held_too_long_are_sent_again_whatever_their_number(stopped):
    one, mail = reviewed(HELD)
    done(one, one.desk.redrive, mail, stopped)
    one.work(rounds=200)
    assert (one.mail(mail).route, one.waiting()) == (Route.INTEGRATED, [])
    assert len(one.ports.hospital.accepted) == MAX_DOCUMENTS
    assert named(one) == set()


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_documents_refused_for_their_form_are_sent_again_whatever_their_number(stopped):
    one, mail = reviewed(REFUSED)
    done(one, one.desk.redrive, mail, stopped)
    one.work(rounds=200)
    assert (one.mail(mail).route, one.waiting()) == (Route.INTEGRATED, [])
    assert len(one.ports.hospital.accepted) == MAX_DOCUMENTS
    assert named(one) == set()


@pytest.mark.parametrize("stopped", [0, 2, 3])
def test_a_mail_is_closed_whatever_the_number_of_its_documents(stopped):
    one, mail = reviewed(HELD)
    done(one, one.desk.close, mail, stopped)
    closed = one.mail(mail)
    assert (closed.state, closed.route, one.waiting()) == (MailState.SETTLED, Route.REVIEW, [])
    assert {each.integration for each in one.documents(closed)} == {Integration.NOT_OWED}
    assert one.ports.hospital.accepted == []
    assert named(one) == set()


@pytest.mark.parametrize("act", ["redrive", "close"])
def test_what_one_transaction_holds_is_written_in_one(act):
    one = Hospital()
    one.ports.hospital.answers = HELD * 99
    [found] = one.process(whole(3))
    seen, write = [], one.ports.table.write
    one.ports.table.write = lambda *writes: seen.append(len(writes)) or write(*writes)
    getattr(one.desk, act)(found.mail, *SIGNED)
    assert [each for each in seen if each > 1] == [3 + 3 + 2 + 3 * (act == "close")]


@pytest.mark.parametrize("number", range(1, 250))
def test_an_item_is_always_written_together_with_the_mail(number):
    items = [Put("REVIEW", str(each), {}) for each in range(number)]
    kinds = ("DOC", "DOC", "CHAIN")
    documents = [[Put(kind, str(each), {}) for kind in kinds] for each in range(45)]
    last = [Put("MAIL", "MAIL", {}), Put("JOURNAL", "JOURNAL", {})]
    found = list(transactions(documents, items, last))
    assert max(map(len, found)) <= MOST_WRITES
    assert list(chain(*found)) == [*chain(*documents), *items, *last]
    assert found[-1][-3].pk == "REVIEW"
    ends = [batch[-1].pk for batch in found if batch[-1].pk in kinds]
    assert ends == ["CHAIN"] * len(ends), "no group is divided"
