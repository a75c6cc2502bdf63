"""What MessageFoundry is told to do with a mail; it reads this file in its own process.

It has no mail source, so each mail comes as a frame; the handler does with the standard library
what is needed at least: mail, archive, patient of the CDA, MDM. No match, no check of identity.
"""

import io
import os
import zipfile
from base64 import b64encode
from email import message_from_string
from uuid import uuid4
from xml.etree.ElementTree import iterparse

from messagefoundry import MLLP, Send, handler, inbound, outbound, router

NAMESPACE = "{urn:hl7-org:v3}"

inbound("IB_MAIL_XDM", MLLP(port=int(os.environ["PFI_IN"])), router="mails", content_type="text")
outbound("OB_DPI_MDM", MLLP(host="127.0.0.1", port=int(os.environ["PFI_OUT"])))


@router("mails")
def every_mail(_mail):
    return ["mail_to_mdm"]


@handler("mail_to_mdm")
def mail_to_mdm(mail):
    content = document(archive(mail.text))
    return Send("OB_DPI_MDM", mdm(content, *patient(content)))


def archive(text):
    parts = message_from_string(text).walk()
    return next(part.get_payload(decode=True) for part in parts if "zip" in part.get_content_type())


def document(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as found:
        name = next(each for each in found.namelist() if each.upper().endswith("DOC0001.XML"))
        return found.read(name)


def patient(content):
    for _, role in iterparse(io.BytesIO(content)):
        if role.tag == f"{NAMESPACE}patientRole":
            number = role.find(f"{NAMESPACE}id").get("extension")
            return number, role.findtext(f".//{NAMESPACE}family")
    raise ValueError("no patient")


def mdm(content, number, name):
    control_id = uuid4().hex[:20].upper()
    return (
        f"MSH|^~\\&|PFI|CH|DPI|CH|20260514093213||MDM^T02^MDM_T02|{control_id}|T|2.6\r"
        f"EVN||20260514093213\rPID|||{number}^^^&1.2.250.1.213.1.4.10&ISO^INS||{name}\rPV1|1|N\r"
        f"TXA|1|11502-2|TEXT|||||||||{control_id}|||||AU\r"
        f"OBX|1|ED|11502-2^CR^LN||^text^XML^Base64^{b64encode(content).decode()}||||||F\r"
    )
