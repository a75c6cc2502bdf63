"""A message is built in pieces: the document is never joined to what stands around it."""

import base64
import hashlib

from pfi.hl7 import mdm
from pfi.journey.message import fingerprint
from tests.unit.hl7.orders import TARGET, order, written


def test_the_document_is_a_piece_of_its_own_and_the_rest_is_small() -> None:
    before, data, after = mdm.build(order(content=bytes(300_000)), TARGET)
    assert data == base64.b64encode(bytes(300_000))
    assert before.endswith(b"||^text^XML^Base64^")
    assert after.startswith(b"||||||F\r")
    assert len(before) + len(after) < 3_000


def test_the_fingerprint_is_that_of_the_bytes_that_leave() -> None:
    assert fingerprint(mdm.build(order(), TARGET)) == hashlib.sha256(written(order())).hexdigest()
