"""Identity messages over HTTP: who may send, what is a message, what is answered and told."""

import base64
import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from infra.local.invented.identity_messages import Told
from infra.local.invented.identity_messages import message as adt
from pfi.edge import feed as edge
from pfi.edge.feed import feed_function
from pfi.errors import Unavailable
from pfi.hl7.adt import MAX_BYTES
from pfi.journey.ledger import Ledger
from pfi.journey.settings import Settings
from pfi.names import Reason, Step
from tests.data.builders import LEA
from tests.doubles.patient_base import FEED, MemoryFeed
from tests.unit.edge.records import Context, listen, told
from tests.unit.edge.shown import certificate, fingerprint

TYPE = "application/hl7-v2; charset=utf-8"
RAW = adt(Told(trigger="A28", at="20260514080000", patient=LEA))
MINE = replace(FEED, client_certificates=(fingerprint("relais").upper(),))
STRANGER = RAW.replace(b"1.2.3.4.5", b"9.9.9")


def http(body=RAW, *, shows="relais", kind=TYPE, encoded=True, **more):
    """What an HTTP API hands over."""
    shown = {"authentication": {"clientCert": {"clientCertPem": certificate(shows)}}}
    text = base64.b64encode(body).decode() if encoded else body
    return {
        "version": "2.0",
        "headers": {"content-type": kind} if kind else {},
        "requestContext": shown if shows else {},
        "body": text,
        "isBase64Encoded": encoded,
    } | more


class Endpoint:
    def __init__(self, monkeypatch):
        self.ports = MemoryFeed(Settings(feeds=(MINE,)))
        given = SimpleNamespace(
            settings=self.ports.settings, patients=self.ports.base, store=self.ports.store,
            table=self.ports.table, now=self.ports.now,
        )  # fmt: skip
        self.given = given
        monkeypatch.setattr(edge, "services", lambda: given)
        self.handler = feed_function()
        self.out = listen(Step.FEED)

    def __call__(self, event):
        return self.handler(event, Context())

    @property
    def codes(self):
        return [line["code"] for line in told(self.out)]


@pytest.fixture
def endpoint(monkeypatch):
    return Endpoint(monkeypatch)


def msa(answer):
    return answer["body"].split("\r")[1].split("|")[1]


def test_a_message_is_applied_and_its_ack_is_the_body(endpoint):
    answer = endpoint(http())
    assert (answer["statusCode"], msa(answer)) == (200, "AA")
    assert answer["headers"] == {"content-type": TYPE, "x-pfi-feed": "1"}
    assert endpoint.ports.base.get("ch", LEA.ipp) == LEA.record
    assert endpoint.codes == ["FEED_APPLIED"]
    assert told(endpoint.out)[0]["feed"] == "gam"


def test_a_rest_api_says_the_same_in_other_words(endpoint):
    shown = {"identity": {"clientCert": {"clientCertPem": certificate("relais")}}}
    event = http(requestContext=shown, headers={"Content-Type": "Application/HL7-V2"})
    assert msa(endpoint(event)) == "AA"


@pytest.mark.parametrize(("name", "charset"), [("UNICODE UTF-8", "utf-8"), ("8859/15", "latin9")])
def test_text_becomes_the_bytes_of_the_charset_that_the_request_names(endpoint, name, charset):
    elise = replace(LEA, birth_name="LÉGER")
    raw = adt(Told(trigger="A28", at="20260514080000", patient=elise), name)
    kind = f"application/hl7-v2; charset={charset}"
    assert msa(endpoint(http(raw.decode(charset), kind=kind, encoded=False))) == "AA"
    assert endpoint.ports.base.get("ch", LEA.ipp).traits.birth_name == "LÉGER"


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (415, {"kind": "text/plain"}),
        (415, {"kind": ""}),
        (415, {"kind": "application/hl7-v2; charset=klingon", "body": "MSH|", "encoded": False}),
        (413, {"body": b"MSH|" + b"x" * MAX_BYTES}),
        (400, {"body": b" \r\n"}),
    ],
)
def test_what_is_no_message_gets_a_status_and_nothing_else(endpoint, status, event):
    answer = endpoint(http(**event))
    assert (answer["statusCode"], answer["body"]) == (status, "")
    assert answer["headers"] == {"x-pfi-feed": "1"}
    assert told(endpoint.out)[0]["status"] == status
    assert endpoint.ports.base.filed == {}


def test_base64_that_is_none_is_a_bad_request(endpoint):
    assert endpoint(http() | {"body": "%%%"})["statusCode"] == 400


@pytest.mark.parametrize("shows", ["inconnu", ""])
def test_a_certificate_of_no_feed_is_refused_counted_and_nothing_is_read(endpoint, shows, capsys):
    class Unread(dict):
        def get(self, key, default=None):
            assert key != "body"
            return super().get(key, default)

    answer = endpoint(Unread(http(shows=shows)))
    assert (answer["statusCode"], answer["body"]) == (403, "")
    assert endpoint.codes == ["FEED_FORBIDDEN"]
    assert '"FeedForbidden":[1.0]' in capsys.readouterr().out.replace(" ", "")


def test_a_feed_without_certificates_is_nobodys(endpoint):
    endpoint.given.settings = Settings(feeds=(FEED, replace(FEED, client_certificates=("",))))
    assert endpoint(http(shows=""))["statusCode"] == 403


def test_each_certificate_feeds_its_own_establishment(endpoint):
    other = replace(FEED, id="b", establishment="ehpad", client_certificates=(fingerprint("b"),))
    endpoint.given.settings = Settings(feeds=(MINE, other))
    endpoint(http(shows="b"))
    assert endpoint.ports.base.get("ehpad", LEA.ipp) == LEA.record
    assert endpoint.ports.base.get("ch", LEA.ipp) is None


def test_a_base_that_is_away_is_an_ar_and_an_error_of_the_step(endpoint, capsys):
    endpoint.ports.base.down = 1
    answer = endpoint(http())
    assert (answer["statusCode"], msa(answer)) == (200, "AR")
    assert '"StepErrors"' in capsys.readouterr().out


def test_settings_that_are_away_are_a_503(endpoint, monkeypatch):
    class Away:
        @property
        def settings(self):
            raise Unavailable(Reason.SETTING_MISSING)

    monkeypatch.setattr(edge, "services", Away)
    assert endpoint(http())["statusCode"] == 503


def test_a_message_on_which_our_code_fails_waits_for_a_person_and_the_next_goes_on(
    endpoint, monkeypatch
):
    def broken(*_):
        raise ValueError(LEA.birth_name)

    with monkeypatch.context() as patch:
        patch.setattr(edge, "feed", broken)
        assert msa(endpoint(http())) == "AE"
    digest = hashlib.sha256(RAW).hexdigest()
    [item] = Ledger(endpoint.ports.table, endpoint.ports.now).reviews(digest)
    assert (item.step, item.reason, item.source) == ("feed", "PFI-EDGE-09", "gam")
    assert endpoint.ports.store.objects == {f"feed/{digest}.hl7": RAW}
    assert msa(endpoint(http())) == "AA"


def test_a_reviewed_message_is_applied_again_from_the_store(endpoint):
    assert msa(endpoint(http(STRANGER))) == "AE"
    digest = hashlib.sha256(STRANGER).hexdigest()
    authority = FEED.ipp_authority.replace("1.2.3.4.5", "9.9.9")
    endpoint.given.settings = Settings(feeds=(replace(MINE, ipp_authority=authority),))
    again = endpoint({"message": digest, "feed": "gam"})
    assert again == {"statusCode": 200, "log": "FEED_APPLIED"}
    assert endpoint.ports.base.get("ch", LEA.ipp) == LEA.record


@pytest.mark.parametrize("asked", [
    {"message": "ab" * 32, "feed": "gam"}, {"message": "../x", "feed": "gam"},
    {"message": "ab" * 32, "feed": "gone"},
])  # fmt: skip
def test_a_message_or_a_feed_that_is_gone_is_no_success(endpoint, asked):
    assert "log" not in endpoint(asked)


def test_no_line_holds_anything_of_the_patient(endpoint, capfd):
    endpoint.ports.base.down = 1
    for raw in (RAW, RAW, STRANGER, b"MSH|^~\\&|" + LEA.birth_name.encode()):
        endpoint(http(raw))
    endpoint(http(shows="inconnu"))
    said = endpoint.out.getvalue() + "".join(capfd.readouterr())
    assert said
    for word in (LEA.birth_name, LEA.first_given, LEA.matricule, LEA.ipp, LEA.birth_date):
        assert word not in said
    assert json.loads(said.splitlines()[0])
