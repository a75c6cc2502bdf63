"""The scorecard of senders and its letter: counted from mails that went through the journey."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from infra.cli import senders as command
from infra.operations.sender_letter import Letter
from infra.operations.sender_wording import RULES_FR
from infra.operations.senders import Card, Month, _asked, tally
from pfi.journey.records import MailRecord, Sent
from pfi.names import Reason
from tests.data.builders import EVERYBODY, LEA, THEO, document, mail
from tests.doubles.drive import Drive
from tests.unit.journey.test_routes import letter

MAY = Month.of("2026-05")
LABO, CLINIC = "labo-invente.mssante.fr", "clinique-inventee.mssante.fr"
UNKNOWN = replace(LEA, body="2910775102003", birth_name="INCONNUE")


def from_clinic(*entries, **options):
    return letter(*entries, sender=f"dpi@{CLINIC}", return_path=f"dpi@{CLINIC}", **options)


@pytest.fixture(scope="module")
def cards() -> dict[str, Card]:
    """A month of two houses."""
    drive = Drive()
    first = document(LEA)
    drive.process(
        letter(first, number=1),
        letter(first, number=1, text="Le même, sous une autre enveloppe.\n"),
        letter(document(UNKNOWN, document_id="2.25.2"), number=2, mdn=False),
        letter(document(LEA, document_id="2.25.3", ids=[("2.25.9", "L1")], patient_id=""),
               number=3, mdn=False),
        letter(document(THEO, document_id="2.25.4"),
               document(replace(THEO, sex="UN"), document_id="2.25.5"), number=4),
        from_clinic(document(LEA, document_id="2.25.6", digest="0" * 40), number=5),
        from_clinic(document(LEA, document_id="2.25.7", version="2", parent="2.25.1",
                             action="C"), number=6),
        mail(None, message_id="<7@x.fr>"),
        letter(document(LEA, document_id="2.25.8"), number=8, sender="labo@ailleurs.example"),
    )  # fmt: skip
    mails = [drive.mail(pk.removeprefix("MAIL#")) for pk, sk in drive.ports.table.rows
             if sk == "MAIL"]  # fmt: skip
    return {card.domain: card for card in tally(mails, MAY)}


def test_every_house_of_the_trust_space_has_its_card_and_nobody_else(cards):
    assert list(cards) == [LABO, CLINIC]


def test_a_card_counts_mails_their_ends_and_what_they_carried(cards):
    card = cards[LABO]
    assert (card.mails, card.integrated, card.duplicates, card.under_way) == (5, 1, 1, 0)
    assert (card.without_archive, card.mdn_asked) == (1, 3)
    assert (card.documents, card.with_ins, card.usable) == (5, 4, 3)
    assert card.share == pytest.approx(0.2)
    assert card.faults == {"902": 1, "903": 1, "905": 1, "PFI-XDM-01": 1}


def test_archive_faults_and_replacements_are_told_apart(cards):
    card = cards[CLINIC]
    assert (card.archive_faults, card.replacements, card.deletions) == (1, 1, 0)
    assert cards[LABO].archive_faults == 0


def record(at: datetime, **more: object) -> MailRecord:
    sent = Sent(domain=LABO, archive=True)
    whole = MailRecord(mail="0" * 64, mailbox="app", key="k", received_at=at, sent=sent)
    return replace(whole, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "counted"),
    [
        (datetime(2026, 4, 30, 21, 59, tzinfo=UTC), 0),
        (datetime(2026, 4, 30, 22, 0, tzinfo=UTC), 1),
        (datetime(2026, 5, 31, 21, 59, tzinfo=UTC), 1),
        (datetime(2026, 5, 31, 22, 0, tzinfo=UTC), 0),
    ],
)
def test_a_month_is_one_of_the_clocks_of_the_hospital(at, counted):
    assert sum(card.mails for card in tally([record(at)], MAY)) == counted


@pytest.mark.parametrize("month", ["2026-05", "2026-01"])
def test_the_walk_meets_a_mail_of_the_first_half_hour_and_one_of_the_last(month):
    asked, month = _asked(Month.of(month))["ExpressionAttributeValues"], Month.of(month)
    half = timedelta(minutes=30)
    for at in (month.first + half, month.after - half):
        written = at.astimezone(UTC).isoformat()
        assert asked[":first"]["S"] <= written <= asked[":after"]["S"]


def test_a_notification_that_a_person_must_confirm_was_asked_too():
    [found] = Drive().process(letter(document(LEA), return_path=None))
    assert found.review
    assert found.sent.mdn


def test_a_mail_under_way_has_no_part_in_the_share_and_an_older_row_in_nothing():
    at = datetime(2026, 5, 2, tzinfo=UTC)
    [card] = tally([record(at, reason="902"), record(at, sent=None)], MAY)
    assert (card.mails, card.under_way, card.share, card.faults) == (1, 1, None, {})


@pytest.mark.parametrize("word", ["2026", "2026-13", "mai", "2026-05-01"])
def test_only_a_month_is_a_month(word):
    with pytest.raises(ValueError):
        Month.of(word)


def test_the_table_names_domains_counts_and_faults(cards):
    told = "\n".join(command.table(list(cards.values()), MAY))
    assert LABO in told
    assert "20 %" in told
    assert "903 INS non présent" in told


def test_json_and_csv_hold_the_same_counts(cards, capsys):
    command._csv(list(cards.values()))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out), delimiter=";"))
    plain = json.loads(json.dumps([command.record(card) for card in cards.values()]))
    assert [row["courriels"] for row in rows] == [str(each["mails"]) for each in plain]
    assert rows[0]["part intégrée"] == "0,2"
    assert set(command._TITLES) == set(plain[0]) - {"faults"}
    assert rows[0]["903"] == "1"
    assert rows[1]["903"] == "0"


# --- the letter -----------------------------------------------------------------------------------


def html(card: Card) -> str:
    return Letter(card, MAY, date(2026, 6, 3)).html()


def test_the_letter_tells_count_rule_and_what_to_mend(cards):
    told = html(cards[LABO])
    assert "Le 3 juin 2026" in told
    assert "mai 2026" in told
    assert LABO in told
    for reason in (Reason.NO_INS, Reason.INS_INCOMPLETE, Reason.NO_XDM):
        assert f'<span class="code">{reason.value}</span>' in told
        assert RULES_FR[reason].source.split(" ;")[0] in told


def test_the_letter_tells_nothing_of_a_patient_nor_of_our_base(cards):
    told = html(cards[LABO])
    values = {v for p in EVERYBODY for v in (p.ipp, p.matricule, p.birth_name, p.first_given) if v}
    assert {value for value in values if value in told} == set()
    assert "902" not in told
    assert "inconnu" not in told


def test_the_letter_stands_alone_and_escapes_what_it_is_given():
    told = html(Card("<script>alert(1)</script>"))
    assert "<script>" not in told
    assert not any(word in told for word in ("http://", "https://", "src=", "href=", "@import"))
    HTMLParser().feed(told)


def test_the_letter_counts_apart_what_is_not_of_the_sender():
    card = Card(LABO, mails=5)
    card.faults.update({"902": 1, "PFI-ID-01": 1, "903": 2})
    assert 'propre à notre établissement</td><td class="n">2</td>' in html(card)


def test_a_house_without_a_fault_of_its_own_is_told_so():
    card = Card(CLINIC, mails=2, integrated=1)
    card.faults["902"] = 1
    assert "Rien n'est à corriger" in html(card).replace("&#x27;", "'")


def test_every_fault_of_an_archive_and_of_a_document_has_its_rule():
    theirs = {r for r in Reason if r.value.startswith(("PFI-XDM-", "PFI-CDA-", "PFI-CONF-"))}
    assert theirs <= set(RULES_FR)
    ours = {Reason.UNKNOWN_PATIENT, Reason.BASE_NOT_QUALIFIED, Reason.AMBIGUOUS, Reason.FLAGGED,
            Reason.BASE_INCOMPLETE, Reason.BASE_CHANGED}  # fmt: skip
    assert not ours & set(RULES_FR)
    for rule in RULES_FR.values():
        assert rule.asks.endswith(".")
        assert rule.mend.endswith(".")
        assert rule.source
