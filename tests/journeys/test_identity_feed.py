"""A repository of identities feeds the deployed stack by MLLP, through the relay, and mails follow.

MLLP → relay → HTTPS with client certificates → function `feed` → patient base → mails.
"""

import hashlib
import socket
from dataclasses import replace

import pytest

from infra.cli.main import main
from infra.local.hospital import DEMO_ESTABLISHMENT
from infra.local.invented.identity_messages import Told
from infra.local.invented.identity_messages import message as adt
from infra.relay.upstream import Away, Upstream
from pfi.adapters.patients import DynamoPatients
from pfi.hl7.mllp import Deframer, frame
from tests.data.builders import LEA
from tests.journeys.letters import letter, written
from tests.journeys.stage import eventually, outcomes

NAMES = ("ZQXFILINE", "ZQXORPHEE")
NEW = replace(
    LEA, ipp="F00001", body="2910775103001", birth_name=NAMES[0], first_given=NAMES[1],
    given_list=NAMES[1], used_name="", used_given="",
)  # fmt: skip
OLD = replace(NEW, ipp="F00002")
ELSE = replace(NEW, ipp="F00004", body="2910775103003", birth_name="ZQXMELUSIN")
"""For what must not meet the others: tests come in any order."""


@pytest.fixture(scope="module")
def repository(stage):
    """Sends messages on one connection; MSA-1 of each answer."""
    with socket.create_connection(("127.0.0.1", stage.laptop.relay.port), timeout=60) as wire:
        deframer = Deframer()

        def send(*messages):
            found = []
            for each in messages:
                wire.sendall(frame(each))
                while not (answers := deframer.feed(wire.recv(65_536))):
                    pass
                found += [answer.split(b"\rMSA|")[1][:2].decode() for answer in answers]
            return found

        yield send


def told(trigger, hour, patient, **more):
    return adt(Told(trigger=trigger, at=f"202605{10 + hour}080000", patient=patient, **more))


def base(stage):
    table = stage.laptop.outputs["PatientsTable"]
    return DynamoPatients(stage.laptop.client("dynamodb"), table)


def integrated_as(stage, raw):
    """The IPP under which the document of a mail went to the DPI."""
    known = stage.ledger.document(hashlib.sha256(raw).hexdigest(), 1)
    return known.record.ipp if known else None


def sent(stage, patient):
    raw = letter(written(patient))
    [outcome] = outcomes(stage.process(raw))
    return outcome, integrated_as(stage, raw)


def test_a_day_of_an_identity_decides_over_its_mails(stage, repository):
    """Unknown, qualified, corrected, de-qualified, qualified again, merged: one after the other."""
    assert sent(stage, NEW)[0] == ("forwarded", "902")
    misspelt = replace(OLD, birth_name="ZQXFILIME")
    assert repository(told("A28", 1, misspelt)) == ["AA"]
    assert sent(stage, OLD)[0][0] == "forwarded"
    assert repository(told("A31", 2, OLD)) == ["AA"]
    assert sent(stage, OLD) == (("integrated", None), OLD.ipp)
    assert repository(told("A31", 3, replace(OLD, body="", status="PROV"))) == ["AA"]
    assert sent(stage, OLD)[0] == ("forwarded", "PFI-ID-01")
    assert repository(told("A31", 4, OLD), told("A28", 4, NEW)) == ["AA", "AA"]
    assert sent(stage, OLD)[0] == ("forwarded", "PFI-ID-02")
    assert repository(told("A40", 5, NEW, replaced=(OLD.ipp,))) == ["AA"]
    assert sent(stage, NEW) == (("integrated", None), NEW.ipp)
    assert base(stage).get(DEMO_ESTABLISHMENT, OLD.ipp).merged_into == NEW.ipp


def test_a_broken_message_waits_for_a_person_and_the_next_one_goes_on(stage, repository, capsys):
    other = replace(ELSE, ipp="F00003", body="2910775103002", birth_name="ZQXVIVIANE")
    broken = told("A28", 6, other).replace(b"1.2.3.4.5", b"9.9.9")
    assert repository(broken, told("A28", 6, other)) == ["AE", "AA"]
    assert sent(stage, other)[0] == ("integrated", None)
    digest = hashlib.sha256(broken).hexdigest()
    assert stage.reviews(digest) == [("feed", "PFI-PAM-02")]
    assert stage.objects()[f"feed/{digest}.hl7"] == broken

    def pfi(*words):
        done = main([*words, "--folder", str(stage.laptop.folder)])
        return done, capsys.readouterr().out

    signed = ("--who", "Camille", "--why", "essai")
    assert digest[:12] in pfi("review", "list")[1]
    assert "message d'identité" in pfi("review", "show", digest[:16])[1]
    status, shown = pfi("review", "redrive", digest[:16], *signed)
    assert (status, "reste ouvert : feed, PFI-PAM-02" in shown) == (0, True)
    assert pfi("review", "close", digest, "--who", "Camille", "--comment", "essai")[0] == 0
    assert digest[:12] not in pfi("review", "list")[1]


def test_a_client_without_a_feed_is_refused_and_counted(stage):
    mailbox = stage.laptop.settings.mailboxes[0].address
    stranger = Upstream(stage.laptop.front.url, stage.laptop.pki.client_context(mailbox))
    before = len(stage.told("FEED_FORBIDDEN"))
    with pytest.raises(Away, match="403"):
        stranger.exchange(told("A28", 7, ELSE))
    assert eventually(lambda: len(stage.told("FEED_FORBIDDEN")) == before + 1)


def test_the_age_of_the_base_is_told_by_the_clock(stage, repository):
    assert repository(told("A31", 8, ELSE)) == ["AA"]
    function = stage.laptop.outputs["FunctionProve"]
    stage.laptop.client("lambda").invoke(FunctionName=function, Payload=b'{"slices": ["00"]}')
    told_now = eventually(lambda: [x for x in stage.log_lines() if '"FeedAgeSeconds"' in x])
    assert any(f'"establishment":"{DEMO_ESTABLISHMENT}"' in x.replace(" ", "") for x in told_now)


def test_nothing_of_a_patient_is_in_any_line(stage, repository):
    assert repository(told("A31", 9, ELSE)) == ["AA"]
    lines = "\n".join(stage.log_lines())
    assert "FEED_APPLIED" in lines
    words = (*NAMES, ELSE.birth_name, ELSE.body, ELSE.ipp, NEW.body, NEW.ipp)
    assert [word for word in words if word in lines] == []
