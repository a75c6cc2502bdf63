"""A message is built in pieces: the document is never joined to what stands around it, and no
empty field ends a segment."""

import base64
import hashlib
from dataclasses import replace

from pfi.hl7 import mdm
from pfi.ins.identity import Traits
from pfi.journey.message import fingerprint
from tests.unit.hl7.orders import MAIL, TARGET, order, written


def test_the_document_is_a_piece_of_its_own_and_the_rest_is_small() -> None:
    before, data, after = mdm.build(order(content=bytes(300_000)), TARGET)
    assert data == base64.b64encode(bytes(300_000))
    assert before.endswith(b"||^text^XML^Base64^")
    assert after.startswith(b"||||||F\r")
    assert len(before) + len(after) < 3_000


def test_the_fingerprint_is_that_of_the_bytes_that_leave() -> None:
    assert fingerprint(mdm.build(order(), TARGET)) == hashlib.sha256(written(order())).hexdigest()


def test_nothing_follows_the_last_field_that_is_filled() -> None:
    bare = mdm.DocumentFacts(id_root="", code="", code_system="\x00", patient_ids=())
    mail = replace(MAIL, message_id="", subject="", service=None)
    message = written(order(document=bare, mail=mail, traits=Traits(), built_at="|"), TARGET)
    lines = message.decode().split("\r")
    assert not [line for line in lines if line.endswith(("|", "^"))]
    assert (lines[1], lines[5]) == ("EVN||\\F\\||||20260417082001", "OBR|1")
    assert lines[6] == f"TXA|1||TEXT{'|' * (17 - 3)}AU"
