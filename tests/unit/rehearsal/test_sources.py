"""Sources read on: a body, a mail or a session that goes meanwhile is told, and no more."""

from datetime import UTC, date, datetime

from infra.local.hospital import DEMO_FALLBACK, DEMO_MAILBOX, settings_of
from infra.rehearsal.sources import GONE, TRIES, Mailboxes, Period
from pfi.errors import Misconfigured, Unavailable
from pfi.ins.wording import LABELS_FR
from pfi.journey.ports import MailGone
from pfi.names import Environment, Reason

[BOX] = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK).mailboxes
AWAY = LABELS_FR[Reason.MAILBOX_UNAVAILABLE]


class Bucket:
    """Objects and when they came; None is a body that went."""

    def __init__(self, **bodies):
        self.bodies = {name.replace("_", "/"): found for name, found in bodies.items()}

    def listed(self, prefix):
        return ((f"{prefix}{key}.eml", at) for key, (at, _) in self.bodies.items())

    def get(self, key):
        body = self.bodies[key.removeprefix("incoming/").removesuffix(".eml")][1]
        if body is None:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return body


def at(day, hour=12):
    return datetime(2026, 5, day, hour, tzinfo=UTC)


def test_mails_of_the_bucket_come_in_the_order_of_their_arrival_with_their_mailbox():
    bucket = Bucket(un_a=(at(3), b"a"), deux_b=(at(2), b"b"), c=(at(4), b"c"))
    found = [(each.raw, each.mailbox) for each in Period(bucket).samples()]
    assert found == [(b"b", "deux"), (b"a", "un"), (b"c", "")]


def test_the_days_of_a_period_are_those_of_paris_both_included():
    bucket = Bucket(
        x_a=(at(1, 21), b"a"), x_b=(at(1, 22), b"b"), x_c=(at(2), b"c"), x_d=(at(3, 22), b"d")
    )
    period = Period(bucket, date(2026, 5, 2), date(2026, 5, 3))
    assert [each.raw for each in period.samples()] == [b"b", b"c"]
    assert period.title == "courriels conservés depuis le 02/05/2026 jusqu'au 03/05/2026"


def test_a_body_that_went_meanwhile_is_told():
    bucket = Bucket(x_a=(at(1), b"a"), x_b=(at(2), None), x_c=(at(3), b"c"))
    found = list(Period(bucket).samples())
    assert [each.raw for each in found] == [b"a", None, b"c"]
    assert found[1].fault == LABELS_FR[Reason.STORE_UNAVAILABLE]


class Session:
    """A mailbox whose mails answer as told: bytes, or a fault."""

    def __init__(self, server):
        self.server = server
        self.open = True
        server.sessions.append(self)

    def listing(self):
        return [(uid, 1) for uid in self.server.mails]

    def examine(self, folder):
        return folder in self.server.folders

    def fetch(self, uid, size):
        answers = self.server.mails[uid]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.open = False


class Server:
    def __init__(self, mails=None, opens=99, folders=()):
        self.mails = {uid: list(answers) for uid, answers in (mails or {}).items()}
        self.opens, self.folders, self.sessions, self.tries = opens, folders, [], 0

    def open(self, box):
        self.tries += 1
        if len(self.sessions) >= self.opens:
            raise Unavailable(Reason.MAILBOX_UNAVAILABLE)
        return Session(self)

    def samples(self, folder="INBOX"):
        found = list(Mailboxes((BOX,), self.open, folder).samples())
        assert not [each for each in self.sessions if each.open]
        return [(each.raw, each.fault) for each in found]


def lost():
    return Unavailable(Reason.MAILBOX_UNAVAILABLE)


def test_a_session_that_breaks_is_opened_again_and_the_mail_is_read():
    server = Server({1: [b"a"], 2: [lost(), b"b"], 3: [b"c"]})
    assert server.samples() == [(b"a", ""), (b"b", ""), (b"c", "")]
    assert len(server.sessions) == 2


def test_a_mail_that_breaks_every_session_is_told_and_the_others_are_read():
    server = Server({1: [lost()], 2: [b"b"]})
    assert server.samples() == [(None, AWAY), (b"b", "")]


def test_a_mail_that_somebody_took_is_told():
    assert Server({1: [MailGone()], 2: [b"b"]}).samples() == [(None, GONE), (b"b", "")]


def test_a_mailbox_that_never_opens_again_is_told_for_each_mail_that_was_listed():
    server = Server({1: [lost()], **{uid: [b"x"] for uid in range(2, 9)}}, opens=1)
    assert server.samples() == [(None, AWAY)] * 8
    assert server.tries == 1 + TRIES


def test_a_mailbox_that_does_not_open_is_told_and_the_next_one_is_read():
    server = Server({1: [b"a"]})

    def opened(box):
        if box.id == "ferme":
            raise Misconfigured(Reason.CERTIFICATE)
        return server.open(box)

    shut = type(BOX)(id="ferme", address="f@x.fr", establishment="e", dpi="d")
    found = list(Mailboxes((shut, BOX), opened).samples())
    assert [(each.mailbox, each.raw) for each in found] == [("ferme", None), ("reception", b"a")]
    assert found[0].fault == LABELS_FR[Reason.CERTIFICATE]


def test_another_folder_is_examined_and_its_absence_told():
    assert Server({1: [b"a"]}, folders=["Traites"]).samples("Traites") == [(b"a", "")]
    assert Server({1: [b"a"]}).samples("Traites") == [(None, "pas de dossier Traites")]
