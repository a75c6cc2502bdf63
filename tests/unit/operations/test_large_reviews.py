"""A mail of as many documents as are read: a person sends it back or closes it all the same."""

from dataclasses import replace
from itertools import chain, count

import pytest

from infra.operations.account import OperationRefused
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


def states(one, mail):
    return {each.integration for each in one.documents(one.mail(mail))}


def sent_again(one, number):
    """The sender sends one document once more, in a mail of its own."""
    own = document(LEA, document_id=f"2.25.8.{number}", set_id=f"2.25.8.{number}")
    [found] = one.process(letter(own, number=900 + number))
    one.work()
    return one.mail(found.mail)


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


def half_redriven(one, mail):
    stops_before(one, 2)
    with pytest.raises(Died):
        one.desk.redrive(mail, *SIGNED)
    assert states(one, mail) == {Integration.WAITING, Integration.REFUSED}


def test_what_a_redrive_broken_off_left_waiting_is_let_go_when_the_mail_is_closed():
    one, mail = reviewed(REFUSED)
    half_redriven(one, mail)
    before = one.mail(mail)
    one.desk.close(mail, *SIGNED)
    assert (one.mail(mail), one.waiting()) == (before, [])
    assert states(one, mail) == {Integration.NOT_OWED, Integration.REFUSED}
    assert sent_again(one, 0).route is Route.INTEGRATED, "it waits for nobody"
    assert named(one) == set()


def test_a_redrive_that_stops_for_a_later_version_says_that_closing_frees_what_waits():
    one, mail = reviewed(REFUSED)
    half_redriven(one, mail)
    assert sent_again(one, MAX_DOCUMENTS - 1).route is Route.INTEGRATED
    one.ports.table.rows = changed_version(one, MAX_DOCUMENTS)
    with pytest.raises(OperationRefused, match=r"version arrivée après ; .*close les libère"):
        one.desk.redrive(mail, *SIGNED)
    one.desk.close(mail, *SIGNED)
    assert sent_again(one, 0).route is Route.INTEGRATED
    assert one.waiting() == []


def changed_version(one, number):
    """The later mail carried other bytes of that document."""
    [key] = [key for key in one.ports.table.rows if key[1] == f"DOC#{number:04}"]
    pk = "CHAIN#" + one.ports.table.rows[key].data["chain"]
    row = one.ports.table.rows[pk, "CHAIN"]
    first, later = row.data["links"]
    links = [first, {**later, "version": "another"}]
    return {**one.ports.table.rows, (pk, "CHAIN"): replace(row, data={**row.data, "links": links})}


def test_a_redrive_does_not_divide_a_mail_whose_close_was_broken_off():
    """It goes whole or not at all: some of its documents are given up already."""
    one, mail = reviewed(HELD)
    stops_before(one, 2)
    with pytest.raises(Died):
        one.desk.close(mail, *SIGNED)
    assert states(one, mail) == {Integration.WAITING, Integration.NOT_OWED}
    with pytest.raises(OperationRefused, match="la terminer par pfi review close"):
        one.desk.redrive(mail, *SIGNED)
    one.work()
    assert one.ports.hospital.accepted == []
    one.desk.close(mail, *SIGNED)
    assert (states(one, mail), one.waiting()) == ({Integration.NOT_OWED}, [])


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


def test_a_mail_whose_document_has_a_later_version_in_the_dpi_is_closed_all_the_same():
    """Mails are read out of their order: the later one was integrated before this one came."""
    one = Hospital()
    one.ports.hospital.answers = HELD * 99
    [found] = one.process(whole(1))
    [held] = one.documents(found)
    one.ledger.change_chain(held.chain, overtaken)
    one.desk.close(found.mail, *SIGNED)
    assert (states(one, found.mail), one.waiting()) == ({Integration.NOT_OWED}, [])


def overtaken(known):
    [mine] = known.links
    later = replace(mine, holder="ab#0001", version="later", integration=Integration.INTEGRATED)
    return replace(known, links=(mine, later))
