"""Patients and mails of which every word can be recognised anywhere."""

from dataclasses import replace

from tests.data.builders import Patient
from tests.journeys.letters import enclosing, fresh, letter, written

MARK = "zqx"
"""In no French word, no base64 by accident: longer marks are made of it."""
SENDER = "zqxlabo@zqxlabo.mssante.test"
KNOWN = Patient(
    ipp="ZQXIPP1",
    body="2870420999871",
    birth_name="ZQXNAISSANCE",
    first_given="ZQXPRENOM",
    given_list="ZQXPRENOM ZQXSECOND",
    birth_date="19870413",
    sex="F",
    birth_place="29019",
    used_name="ZQXUSAGE",
    used_given="ZQXAPPEL",
    city="ZQXVILLE",
)
PROVISIONAL = replace(
    KNOWN, ipp="ZQXIPP2", body="1540929999862", birth_name="ZQXPROVISOIRE", sex="M", status="PROV"
)
CANARIES = (KNOWN, PROVISIONAL)
UNKNOWN = replace(KNOWN, body="2910775999853", birth_name="ZQXINCONNUE")
OTHER = replace(KNOWN, birth_name="ZQXAUTRENOM")
ROOT = "2.25.777123777456777"
"""Root of their documents."""
NUMBERS = (KNOWN.body, PROVISIONAL.body, UNKNOWN.body, ROOT)
"""Marks that are figures."""
CODE = ("11502-2", "2.16.840.1.113883.6.1", "ZQXLIBELLE")


def canary(patient: Patient, **options: object):
    """A document full of marks."""
    number = fresh()
    options.setdefault("document_id", (f"{ROOT}.{number}", "ZQXEXTENSION"))
    return written(
        patient, number, set_id=f"{ROOT}.9{number}", code=CODE, payload=b"ZQXCONTENU", **options
    )


def dress(**options: object) -> dict[str, object]:
    """A mail full of marks."""
    number = fresh()
    usual: dict[str, object] = {
        "sender": SENDER,
        "reply_to": "zqxreponse@zqxlabo.mssante.test",
        "message_id": f"<zqxmessage.{number}@zqxlabo.mssante.test>",
        "subject": "XDM/1.0/DDM+ZQXOBJET ZQXNAISSANCE ZQXPRENOM 13/04/1987",
        "text": "ZQXTEXTE\n",
        "archive_name": "ZQXFICHIER_IHE_XDM.zip",
        "headers": [("X-ZQXCHAMP", "ZQXVALEUR")],
    }
    return {**usual, **options}


def flock() -> list[bytes]:
    """Mails of every kind: integrated, forwarded, refused, unreadable, filed, reviewed."""
    return [
        letter(canary(KNOWN), **dress()),
        letter(canary(KNOWN, version="2", parent=(f"{ROOT}.1", "ZQX"), action="C"), **dress()),
        letter(canary(UNKNOWN), **dress()),
        letter(canary(OTHER), **dress()),
        letter(canary(PROVISIONAL), **dress(mdn=False)),
        letter(canary(replace(KNOWN, birth_date="ZQXDATE")), **dress()),
        letter(canary(KNOWN, prolog="<!DOCTYPE z [<!ENTITY e 'ZQXENTITE'>]>"), **dress()),
        letter(canary(KNOWN, names="<ZQXBALISE>"), **dress()),
        letter(canary(KNOWN, masks=("ZQXMASQUE",)), **dress()),
        letter(canary(KNOWN, uri="../ZQXCHEMIN.XML"), **dress()),
        letter(canary(KNOWN, action="ZQXACTION"), **dress()),
        letter(canary(KNOWN, declared="ZQXENCODAGE"), **dress()),
        enclosing(b"PK\x03\x04 ZQXARCHIVE", **dress()),
        enclosing(None, **dress()),
        letter(canary(KNOWN), **dress(sender="zqx@zqxpirate.example")),
        b"From: zqxlabo@zqxlabo.mssante.test\r\nZQX" + b"\0" * 9,
    ]
