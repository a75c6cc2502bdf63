"""The mails of `make up`: one for each route, with invented people, built by code."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from infra.local.hospital import DEMO_MAILBOX
from infra.local.invented.archives import Entry, document, xdm_zip
from infra.local.invented.mails import mail, mdn_received
from infra.local.invented.people import AISSATA, ANDRE, EVERYBODY, LEA, SAMIR, THEO, YANN, Patient
from pfi.ins.identity import PatientRecord

SENDER: Final = "resultats@labo-demo.mssante.test"
REFUSED_BY_DPI: Final = "2.25.7700.12.1"


@dataclass(frozen=True, slots=True)
class Scene:
    """One demo mail and where it must end: ``route events reason mdn``."""

    name: str
    build: Callable[[str], bytes]
    expected: str


def _letter(name: str, archive: bytes | None, *, mdn: bool = True) -> bytes:
    return mail(
        archive,
        sender=SENDER,
        recipient=DEMO_MAILBOX,
        return_path=SENDER,
        reply_to="secretariat@labo-demo.mssante.test",
        message_id=f"<{name}@labo-demo.mssante.test>",
        mdn=mdn,
    )


def _one(
    patient: Patient, number: int, *, mdn: bool = True, **options: object
) -> Callable[[str], bytes]:
    options.setdefault("document_id", f"2.25.7700.{number}.1")
    options.setdefault("set_id", f"2.25.7700.{number}")
    return lambda name: _letter(name, xdm_zip([document(patient, **options)]), mdn=mdn)


def _two(name: str) -> bytes:
    entries: list[Entry] = [
        document(YANN, document_id="2.25.7700.5.1", set_id="2.25.7700.5"),
        document(YANN, document_id="2.25.7700.5.2", set_id="2.25.7700.55", level=3,
                 code=("18748-4", "2.16.840.1.113883.6.1", "CR d'imagerie médicale")),
    ]  # fmt: skip
    return _letter(name, xdm_zip(entries))


_STRANGER: Final = replace(LEA, body="2910775102003", birth_name="INCONNUE", first_given="MARGOT")
_OTHER_NAME: Final = replace(THEO, birth_name="BENEZAR")
_NO_INS_ID: Final = [("2.25.90909090909090", "LAB-0001")]

_FIRST: Final = _one(LEA, 1)

SCENES: Final[tuple[Scene, ...]] = (
    Scene("01_integre_t02_avec_mdn", _FIRST, "integrated T02 - processed"),
    Scene("02_integre_t02_sans_mdn", _one(ANDRE, 2, mdn=False), "integrated T02 - none"),
    Scene(
        "03_remplacement_t10",
        _one(LEA, 1, document_id="2.25.7700.1.2", version="2", parent="2.25.7700.1.1", action="C"),
        "integrated T10 - processed",
    ),
    Scene(
        "04_suppression_t04",
        _one(LEA, 1, document_id="2.25.7700.1.2", version="2", parent="2.25.7700.1.1", action="D"),
        "integrated T04 - processed",
    ),
    Scene("05_deux_documents", _two, "integrated T02+T02 - processed"),
    Scene("06_patient_inconnu", _one(_STRANGER, 6), "forwarded T02 902 error"),
    Scene(
        "07_sans_ins", _one(YANN, 7, ids=_NO_INS_ID, patient_id="", mdn=False),
        "forwarded T02 903 none",
    ),
    Scene("08_trait_different", _one(_OTHER_NAME, 8), "forwarded T02 904 error"),
    Scene(
        "09_ins_incomplet", _one(replace(AISSATA, sex="UN"), 9), "forwarded T02 905 error"
    ),
    Scene("10_base_non_qualifiee", _one(SAMIR, 10), "forwarded T02 PFI-ID-01 error"),
    Scene("11_masque_ps", _one(ANDRE, 11, masks=("MASQUE_PS",)), "forwarded T02 PFI-CONF-01 error"),
    Scene("12_refuse_par_le_dpi", _one(AISSATA, 12), "forwarded T02 902 error"),
    Scene(
        "13_sans_archive", lambda name: _letter(name, None, mdn=False),
        "forwarded - PFI-XDM-01 none",
    ),
    Scene("14_mdn_recu", lambda _name: mdn_received(DEMO_MAILBOX), "filed - PFI-MAIL-02 none"),
    Scene(
        "15_doublon", lambda _name: _FIRST("01_integre_t02_avec_mdn"),
        "duplicate - PFI-MAIL-08 none",
    ),
    Scene(
        "16_archive_illisible", lambda name: _letter(name, b"PK\x03\x04 ceci n'est pas un ZIP"),
        "forwarded - PFI-XDM-02 error",
    ),
    Scene(
        "17_empreinte_fausse", _one(YANN, 17, digest="0" * 40), "forwarded - PFI-XDM-07 error"
    ),
)  # fmt: skip


class Demo:
    """Mails, patients, DPI script and expectations of the demonstration."""

    def files(self) -> list[tuple[str, bytes]]:
        """Names and bytes, in order of delivery."""
        return [(f"{scene.name}.eml", scene.build(scene.name)) for scene in SCENES]

    def expected(self) -> dict[str, str]:
        """Where each mail must end."""
        return {f"{scene.name}.eml": scene.expected for scene in SCENES}

    def patients(self) -> tuple[PatientRecord, ...]:
        """Everybody, one of them with a provisional identity."""
        records = [replace(p, status="PROV") if p is SAMIR else p for p in EVERYBODY]
        return tuple(person.record for person in records)

    def dpi_script(self, folder: Path) -> Path:
        """The DPI refuses one document: it no longer knows the patient."""
        rule = {"document": REFUSED_BY_DPI, "answer": "AE", "err3": "207", "err5": "902"}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "dpi-script.json"
        path.write_text(json.dumps([rule]), encoding="utf-8")
        return path
