"""ADT messages of an invented identity repository (IHE PAM.fr), built by code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from infra.local.invented.people import Patient
from pfi.ins.identity import InsKind

AUTHORITY: Final = "CH-EXEMPLE&1.2.3.4.5&ISO"
_STRUCTURES: Final = {
    "A28": "ADT_A05", "A31": "ADT_A05", "A05": "ADT_A05", "A40": "ADT_A39", "A47": "ADT_A30",
    "A24": "ADT_A24", "A37": "ADT_A37", "A29": "ADT_A21",
}  # fmt: skip
_NAMESPACES: Final = {InsKind.NIA.value: "ASIP-SANTE-INS-NIA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message: the trigger, when, of whom, which identifiers it replaces.

    `changed_at` is PID-33, absent when empty; `numbers` are further INS as (matricule, OID).
    """

    trigger: str
    at: str
    patient: Patient
    replaced: Sequence[str] = ()
    changed_at: str = ""
    numbers: Sequence[tuple[str, str]] = ()
    control_id: str = ""
    sparse: bool = False


def message(told: Told, charset: str = "UNICODE UTF-8") -> bytes:
    """The bytes of the message, segments ended by CR."""
    kind = f"ADT^{told.trigger}^{_STRUCTURES.get(told.trigger, 'ADT_A01')}"
    control = told.control_id or f"GAM-{told.trigger}-{told.at}-{told.patient.ipp}"
    lines = [
        f"MSH|^~\\&|GAM|CH-EXEMPLE|PFI|CH-EXEMPLE|{told.at}||{kind}|{control}|T|2.5^FRA^2.11"
        f"|||||FRA|{charset}|||2.11^IHE_FRANCE-2.11-PAM",
        f"EVN||{told.at}||||{told.at}",
        *_subject(told),
    ]
    codec = {"8859/15": "iso8859-15", "8859/1": "latin-1"}.get(charset, "utf-8")
    return ("\r".join(lines) + "\r").encode(codec)


def _subject(told: Told) -> list[str]:
    old = "~".join(f"{ipp}^^^{AUTHORITY}^PI" for ipp in told.replaced)
    if told.trigger in {"A24", "A37"}:
        return [pid(told), *(f"PID|1||{ipp}^^^{AUTHORITY}^PI" for ipp in told.replaced)]
    return [pid(told), *([f"MRG|{old}"] if old else []), "PV1|1|N"]


def pid(told: Told) -> str:
    """PID of a person as the repository knows it."""
    who = told.patient
    numbers = ([(who.matricule, str(who.oid))] if who.body else []) + list(told.numbers)
    ids = [f"{who.ipp}^^^{AUTHORITY}^PI", *(_cx(*each) for each in numbers)]
    fields = [""] * 34
    fields[0], fields[1], fields[3] = "PID", "1", "~".join(ids)
    if not told.sparse:
        fields[5] = _names(who)
        fields[7], fields[8] = who.birth_date, who.sex
        fields[11] = f"1 RUE DES LILAS^^VILLE^^75001^FRA^H~^^^^^^BDL^^{who.birth_place}"
        fields[32] = "~".join([who.status, *who.attributes])
    fields[33] = told.changed_at
    return "|".join(fields).rstrip("|")


def _cx(matricule: str, oid: str) -> str:
    return f"{matricule}^^^{_NAMESPACES.get(oid, 'ASIP-SANTE-INS-NIR')}&{oid}&ISO^INS^^20260101"


def _names(who: Patient) -> str:
    birth = f"{who.birth_name}^{who.first_given}^{who.given_list}^^^^L"
    return birth + (f"~{who.used_name}^{who.used_given}^^^^^D" if who.used_name else "")
