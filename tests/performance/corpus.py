"""Mails of known sizes, the same bytes at every run: invented people, seeded text and noise.

Noise stands for a PDF or a picture, because it does not compress; the header of a document and its
METADATA.XML are as long as real ones, since a share of the cost is theirs whatever the size.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

from infra.local.invented.archives import entry, metadata, xdm_zip
from infra.local.invented.documents import DOCUMENT_ID, cda
from infra.local.invented.mails import mail
from infra.local.invented.people import LEA, Patient

PATIENT: Final[Patient] = LEA
_PARTICIPANTS: Final = 24
_CLASSIFICATIONS: Final = 26
_WORDS: Final = (
    "bilan", "contrôle", "dosage", "hémoglobine", "leucocytes", "plaquettes", "sérum", "valeur",
    "normale", "élevée", "basse", "prélèvement", "matin", "jeun", "patient", "suivi", "avis",
    "médecin", "examen", "résultat", "antérieur", "méthode", "réactif", "unité", "borne",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Specimen:
    """A mail of the corpus. `noise` bytes lie in it as PDF (level 1) or as picture (level 3)."""

    name: str
    level: int
    noise: int
    observations: int = 0

    @property
    def document(self) -> bytes:
        """The CDA."""
        return _document(self)

    @property
    def raw(self) -> bytes:
        """The whole mail, CRLF."""
        return mail(archive(self.document), message_id=f"<{self.name}@labo-invente.mssante.fr>")


L1_10K: Final = Specimen("10k_l1", 1, 3_000)
L3_50K: Final = Specimen("50k_l3", 3, 0, 400)
L1_300K: Final = Specimen("300k_l1", 1, 205_000)
L3_300K: Final = Specimen("300k_l3", 3, 195_000, 140)
L1_2M: Final = Specimen("2M_l1", 1, 1_480_000)
L3_2M: Final = Specimen("2M_l3", 3, 1_750_000, 700)
L1_20M: Final = Specimen("20M_l1", 1, 14_800_000)
L1_25M: Final = Specimen("25M_l1", 1, 18_100_000)
L1_50M: Final = Specimen("50M_l1", 1, 36_000_000)
EVERYTHING: Final = (L1_10K, L3_50K, L1_300K, L3_300K, L1_2M, L3_2M, L1_20M, L1_25M, L1_50M)


def archive(document: bytes) -> bytes:
    """IHE_XDM.ZIP of one document, METADATA.XML of about 11 kB."""
    fiche = entry(PATIENT, document, unique_id=DOCUMENT_ID)
    return xdm_zip([fiche], metadata_bytes=metadata([fiche], extra="".join(_classifications())))


def _classifications() -> Iterator[str]:
    """What real fiches also bear (author, place, practice…), and this product does not read."""
    for number in range(_CLASSIFICATIONS):
        yield (
            '<rim:Classification classificationScheme="urn:uuid:93606bcf-9494-43ec-9b4e-'
            f'a7748d1a838d" classifiedObject="Document01" id="Author{number:02}"'
            ' nodeRepresentation=""><rim:Slot name="authorInstitution"><rim:ValueList><rim:Value>'
            "Laboratoire INVENTÉ^^^^^&amp;1.2.250.1.71.4.2.2&amp;ISO^IDNST^^^1990000099</rim:Value>"
            "</rim:ValueList></rim:Slot></rim:Classification>\n"
        )


@cache
def _document(specimen: Specimen) -> bytes:
    random = Random(specimen.name)
    if specimen.level == 1:
        content = cda(PATIENT, level=1, payload=_pdf(random, specimen.noise))
    else:
        content = cda(PATIENT, level=3)
        end = b"</structuredBody>"
        content = content.replace(end, _sections(random, specimen).encode() + end)
    start = b"  <component>"
    return content.replace(start, "".join(_header()).encode() + start, 1)


def _pdf(random: Random, size: int) -> bytes:
    return b"%PDF-1.4\n" + random.randbytes(size) + b"\n%%EOF\n"


def _header() -> Iterator[str]:
    """Persons and acts that a real header names after the signature."""
    for number in range(_PARTICIPANTS):
        yield (
            '  <participant typeCode="INF"><functionCode code="PCP" codeSystem="2.16.840.1.113883'
            f'.5.88"/><time value="202605{number + 1:02}"/><associatedEntity classCode="PROV">\n'
            f'    <id root="1.2.250.1.71.4.2.1" extension="8997{number:08}"/>\n'
            "    <addr><houseNumber>4</houseNumber><streetName>rue des Essais</streetName>"
            "<postalCode>99990</postalCode><city>VILLEFICTIVE</city></addr>\n"
            f'    <telecom value="tel:+3319900{number:04}" use="WP"/><associatedPerson><name>'
            "<prefix>DR</prefix><given>Camille</given><family>FICTIF</family></name>"
            "</associatedPerson>\n  </associatedEntity></participant>\n"
        )


def _sections(random: Random, specimen: Specimen) -> str:
    rows = [_observation(random, number) for number in range(specimen.observations)]
    table = "".join(row for row, _ in rows)
    entries = "".join(fact for _, fact in rows)
    return (
        "<component><section><title>Examens</title><text><table><tbody>"
        f"{table}</tbody></table></text>{entries}{_picture(random, specimen.noise)}"
        "</section></component>"
    )


def _observation(random: Random, number: int) -> tuple[str, str]:
    """A line of the narrative, and the coded fact behind it."""
    words = " ".join([*random.choices(_WORDS, k=6), random.randbytes(18).hex()])
    value, day = random.randrange(10_000), random.randrange(1, 29)
    narrative = f'<tr ID="r{number}"><td>{words}</td><td>{value / 10} g/L</td></tr>'
    fact = (
        '<entry typeCode="DRIV"><observation classCode="OBS" moodCode="EVN">'
        f'<id root="2.25.{random.randrange(10**38)}"/><code code="{random.randrange(90_000)}-1"'
        ' codeSystem="2.16.840.1.113883.6.1" displayName="Dosage"/><text><reference'
        f' value="#r{number}"/></text><statusCode code="completed"/><effectiveTime'
        f' value="202605{day:02}0915"/><value xsi:type="PQ" xmlns:xsi="http://www.w3.org/2001/'
        f'XMLSchema-instance" value="{value}" unit="g/L"/></observation></entry>\n'
    )
    return narrative, fact


def _picture(random: Random, size: int) -> str:
    if not size:
        return ""
    data = b64encode(random.randbytes(size)).decode()
    return (
        '<entry><observationMedia classCode="OBS" moodCode="EVN" ID="image1"><value'
        f' mediaType="image/png" representation="B64">{data}</value></observationMedia></entry>'
    )
