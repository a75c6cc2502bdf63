"""Invented documents, mails and targets for the MDM."""

from dataclasses import replace
from typing import Any

from pfi.hl7 import mdm
from pfi.hl7.mdm import Address, DocumentFacts, MailFacts, Order, Service, Target, control_id
from pfi.ins.identity import InsKind, PatientId, Traits
from pfi.ins.matricule import nir_key
from pfi.names import Environment, Event

LOINC = "2.16.840.1.113883.6.1"
BODY = "1960726363005"
NIR = f"{BODY}{nir_key(BODY):02d}"
ROOT = "2.25.31415926535897932384"
CONTENT = '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument>é</ClinicalDocument>'.encode()

TARGET = Target("PFI", "CH-VALLON", "DPI", "CH-VALLON")
TRAITS = Traits(
    birth_name="L'HERMIT-DUCOIN",
    first_given="AUGUSTE",
    given_list="AUGUSTE LEON",
    birth_date="19960726",
    sex="M",
    birth_place="36300",
    used_name="BRISSAC",
    used_given="GUS",
)
DOCUMENT = DocumentFacts(
    id_root=ROOT,
    id_extension="2026-0417",
    code="11502-2",
    code_system=LOINC,
    label="CR de biologie & hématologie",
    effective_time="20260417081500+0200",
    parent=(ROOT, "2026-0416"),
    legal_authenticator="899700218896",
    patient_ids=(
        PatientId("2.25.2718281828", "LAB|77"),
        PatientId(InsKind.NIR_TEST.value, f"{NIR[:1]} {NIR[1:]}"),
        PatientId("", ""),
    ),
    address=Address("4 rue du Puits", "LE BLANC", "36300", "FR"),
)
MAIL = MailFacts(
    message_id="<20260417.77@labo-invente.mssante.fr>",
    subject="XDM/1.0/DDM+CR d’examens ^ L'HERMIT-DUCOIN\r\n AUGUSTE",
    sender="cr.bio@labo-invente.mssante.fr",
    recipients=("pfi.medecine@ch-vallon.mssante.fr", "dr.noroit@medecin.mssante.fr"),
    received_at="20260417082001",
    reply_to="secretariat@labo-invente.mssante.fr",
    text="Bonjour,\nveuillez trouver ci-joint un résultat.\n",
    service=Service("Médecine interne", "CH-VALLON&000000001&M", "3435"),
)


def order(event: Event = Event.NEW, **more: Any) -> Order:
    whole = Order(
        control_id=control_id("0" * 64, f"{ROOT}^2026-0417", event),
        event=event,
        environment=Environment.TEST,
        built_at="20260417082112",
        document=DOCUMENT,
        content=CONTENT,
        traits=TRAITS,
        mail=MAIL,
        ipp="700123",
        invisible_patient=True,
    )
    return replace(whole, **more)


def written(whole: Order, target: Target = TARGET) -> bytes:
    """The message of an order, its pieces together."""
    return b"".join(mdm.build(whole, target))
