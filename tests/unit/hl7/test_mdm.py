"""The MDM field by field, then whole against its golden file and two foreign parsers."""

import base64
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hl7types import decode_er7
from hypothesis import given
from hypothesis import strategies as st

from pfi.errors import Unreadable
from pfi.hl7 import document_types, er7, mdm
from pfi.hl7.er7 import Segment
from pfi.ins.identity import InsKind, PatientId, Traits
from pfi.names import Environment, Event, Reason
from tests.unit.hl7.orders import (
    CONTENT,
    DOCUMENT,
    LOINC,
    MAIL,
    NIR,
    ROOT,
    TARGET,
    TRAITS,
    order,
    written,
)

GOLDEN = Path(__file__).parent / "golden"


def read(message: bytes, codec: str = "utf-8") -> tuple[Segment, ...]:
    return er7.segments(message.decode(codec))


def built(event: Event = Event.NEW, **more: object) -> dict[str, Segment]:
    """Segments by name, numbered from the second of a name: OBX, OBX2, PRT, PRT2…"""
    named: dict[str, Segment] = {}
    for segment in read(written(order(event, **more), TARGET)):
        rank = sum(name.startswith(segment.name) for name in named) + 1
        named[segment.name + (str(rank) if rank > 1 else "")] = segment
    return named


@pytest.mark.parametrize("event", Event)
def test_a_message_is_byte_for_byte_its_golden_file(event: Event) -> None:
    message = written(order(event), TARGET)
    assert message == (GOLDEN / f"{event.value.lower()}.hl7").read_bytes()
    assert message == written(order(event), TARGET)


@pytest.mark.parametrize("event", Event)
def test_segments_come_in_the_order_of_the_profile_each_ended_by_cr(event: Event) -> None:
    message = written(order(event), TARGET)
    names = [segment.name for segment in read(message)]
    assert " ".join(names) == (
        "MSH EVN PID PV1 ORC OBR TXA OBX PRT PRT PRT PRT OBX OBX OBX OBX OBX"
    )
    assert message.endswith(b"\r")
    assert b"\n" not in message
    assert message.count(b"\r") == len(names)


@pytest.mark.parametrize(
    ("event", "control", "status", "parent"),
    [
        (Event.NEW, "NW", "F", ""),
        (Event.REPLACE, "RO", "C", f"2026-0416^^{ROOT}^ISO"),
        (Event.DELETE, "CA", "D", ""),
    ],
)
def test_the_event_is_said_four_times_alike(
    event: Event, control: str, status: str, parent: str
) -> None:
    message = built(event)
    assert message["MSH"].field(9) == f"MDM^{event.value}^MDM_T02"
    assert message["ORC"].field(1) == control
    assert message["OBX"].field(11) == status
    assert message["TXA"].field(13) == parent


def test_a_deletion_names_its_parent_only_where_a_dpi_wants_it() -> None:
    wanting = replace(TARGET, txa13_on_delete=True)
    deletion = read(written(order(Event.DELETE), wanting))
    initial = read(written(order(Event.NEW), wanting))
    assert deletion[6].component(13, 1) == "2026-0416"
    assert initial[6].field(13) == ""


def test_a_replacement_without_a_parent_is_not_built() -> None:
    orphan = order(Event.REPLACE, document=replace(DOCUMENT, parent=None))
    with pytest.raises(Unreadable) as refused:
        written(orphan, TARGET)
    assert refused.value.reason is Reason.REPLACE_WITHOUT_PARENT


def test_the_header_names_both_ends_the_profile_and_the_charset() -> None:
    header = built()["MSH"]
    expected = {
        1: "|", 2: r"^~\&", 3: "PFI", 4: "CH-VALLON", 5: "DPI", 6: "CH-VALLON",
        7: "20260417082112", 8: "", 11: "T", 12: "2.6", 17: "FRA", 18: "UNICODE UTF-8",
        21: "1.1^CISIS_CDA_HL7_LPS",
    }  # fmt: skip
    assert {number: header.field(number) for number in expected} == expected
    assert header.field(10) == mdm.control_id("0" * 64, f"{ROOT}^2026-0417", Event.NEW)


def test_a_production_site_says_p() -> None:
    assert built(environment=Environment.PRODUCTION)["MSH"].field(11) == "P"


def test_a_configured_authority_keeps_its_components() -> None:
    target = replace(TARGET, receiving_facility="CH^2.25.9^ISO", sending_application="A|B")
    header = read(written(order(), target))[0]
    assert header.field(6) == "CH^2.25.9^ISO"
    assert header.component(3) == "A|B"


def test_the_event_segment_carries_both_times() -> None:
    event = built()["EVN"]
    assert (event.field(1), event.field(2), event.field(6)) == (
        "", "20260417082112", "20260417082001",
    )  # fmt: skip


def test_the_patient_has_the_ids_of_the_cda_in_its_order() -> None:
    identifiers = built()["PID"].repetitions(3)
    assert identifiers == [
        r"LAB\F\77^^^&2.25.2718281828&ISO^PI",
        f"{NIR}^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS",
    ]


@pytest.mark.parametrize("kind", InsKind)
def test_each_ins_has_its_namespace(kind: InsKind) -> None:
    document = replace(DOCUMENT, patient_ids=(PatientId(kind.value, NIR),))
    namespace = "ASIP-SANTE-INS-NIA" if kind is InsKind.NIA else "ASIP-SANTE-INS-NIR"
    written = built(document=document)["PID"].field(3)
    assert written == f"{NIR}^^^{namespace}&{kind.value}&ISO^INS"


def test_the_local_number_is_only_added_when_asked() -> None:
    target = replace(TARGET, add_local_ipp=True, ipp_authority="CH-VALLON&2.25.5&ISO")
    assert read(written(order(), target))[2].repetitions(3)[-1] == (
        "700123^^^CH-VALLON&2.25.5&ISO^PI"
    )
    assert len(read(written(order(ipp=""), target))[2].repetitions(3)) == 2


def test_the_patient_is_described_by_the_traits_to_send() -> None:
    patient = built()["PID"]
    assert patient.repetitions(5) == [
        "L'HERMIT-DUCOIN^AUGUSTE^AUGUSTE LEON^^^^L",
        "BRISSAC^GUS^^^^^D",
    ]
    assert (patient.field(7), patient.field(8)) == ("19960726", "M")
    assert patient.repetitions(11) == [
        "4 rue du Puits^^LE BLANC^^36300^FRA^H",
        "^^^^^^BDL^^36300",
    ]
    assert (patient.field(31), patient.field(32)) == ("N", "VALI")


def test_what_is_unknown_of_the_patient_is_left_out() -> None:
    document = replace(DOCUMENT, address=mdm.Address(), patient_ids=(PatientId("2.25.1", "7"),))
    bare = Traits(birth_name="NOROIT", first_given="LOU", birth_date="19960726101500", sex="UN")
    patient = built(document=document, traits=bare)["PID"]
    assert patient.field(5) == "NOROIT^LOU^^^^^L"
    assert (patient.field(7), patient.field(8), patient.field(11)) == ("19960726", "U", "")
    assert patient.field(32) == ""


@pytest.mark.parametrize(
    ("country", "code"),
    [("", "FRA"), ("fr", "FRA"), ("France", "FRA"), ("BEL", "BEL"), ("Belgique", "")],
)
def test_a_country_is_a_three_letter_code(country: str, code: str) -> None:
    document = replace(DOCUMENT, address=replace(DOCUMENT.address, country=country))
    assert built(document=document)["PID"].component(11, 6) == code


@pytest.mark.parametrize(
    ("code", "system", "label", "written"),
    [
        ("11502-2", LOINC, "CR", "11502-2^CR^LN"),
        ("11502-2", LOINC, "", "11502-2^CR d'examens biologiques^LN"),
        ("CERT_DECL", "1.2.250.1.213.1.1.4.12", " ", "CERT_DECL^Certificat, déclaration^TRE_A05"),
        ("X-1", "1.2.3.4", "Autre", "X-1^Autre^1.2.3.4"),
        ("18748-4", "", "", "18748-4^CR d'imagerie médicale^LN"),
        ("E1762", "ASTM", "", "E1762^Full Document^ASTM"),
        ("X-1", "", "", "X-1^^L"),
    ],
)
def test_the_document_type_always_has_a_coding_system(
    code: str, system: str, label: str, written: str
) -> None:
    document = replace(DOCUMENT, code=code, code_system=system, label=label)
    message = built(document=document)
    assert message["OBR"].field(4) == written
    assert message["OBX"].field(3) == written
    assert message["TXA"].field(2) == code


def test_the_value_set_has_its_114_codes() -> None:
    assert len(document_types.LABELS) == 114
    assert all(label.strip() for label in document_types.LABELS.values())
    counts = [list(document_types.SYSTEMS.values()).count(s) for s in ("LN", "TRE_A05", "ASTM")]
    assert counts == [78, 35, 1]


@pytest.mark.parametrize(
    ("time_written", "sent"),
    [
        ("20260417081500+0200", "20260417081500"),
        ("202604170815+0200", "202604170815"),
        ("20260417081500.123Z", "20260417081500"),
        ("2026", "2026"),
        ("hier", ""),
        ("", ""),
    ],
)
def test_the_time_of_the_document_is_cut_to_its_digits(time_written: str, sent: str) -> None:
    document = replace(DOCUMENT, effective_time=time_written)
    assert built(document=document)["TXA"].field(4) == sent


def test_the_document_header_names_the_document() -> None:
    header = built()["TXA"]
    assert (header.field(1), header.field(3), header.field(17)) == ("1", "TEXT", "AU")
    assert header.field(12) == f"2026-0417^^{ROOT}^ISO"
    assert header.field(22) == "899700218896"


def test_a_document_id_without_extension_is_its_root_alone() -> None:
    document = replace(DOCUMENT, id_extension="")
    assert built(document=document)["TXA"].field(12) == ROOT


def test_the_document_is_carried_byte_for_byte() -> None:
    result = built()["OBX"]
    assert (result.field(1), result.field(2), result.field(4)) == ("1", "ED", "")
    assert [result.component(5, n) for n in range(1, 5)] == ["", "text", "XML", "Base64"]
    assert base64.b64decode(result.component(5, 5), validate=True) == CONTENT


def test_the_sender_the_recipients_and_the_reply_address_take_part() -> None:
    message = built()
    parts = [message[name] for name in ("PRT", "PRT2", "PRT3", "PRT4")]
    assert [p.field(4) for p in parts] == [
        "SB^Send by^participation",
        "RCT^Result Copies To^participation",
        "RCT^Result Copies To^participation",
        "REPLY^Reply To^participation",
    ]
    assert {p.field(2) for p in parts} == {"UC"}
    assert [p.field(15) for p in parts] == [
        f"^^X.400^{address}" for address in (MAIL.sender, *MAIL.recipients, MAIL.reply_to)
    ]
    service = "Médecine interne^^^^^CH-VALLON&000000001&M^UF^^^3435"
    assert [p.field(8) for p in parts] == ["", service, "", ""]


def test_without_service_or_reply_address_nothing_is_invented() -> None:
    mail = replace(
        MAIL, service=mdm.Service("Urgences"), reply_to="", recipients=("a@b.mssante.fr",)
    )
    message = built(mail=mail)
    assert message["PRT2"].field(8) == "Urgences"
    assert "PRT3" not in message


def test_the_mail_is_the_second_result() -> None:
    mail = built()["OBX2"]
    assert mail.component(3, 1) == MAIL.message_id
    assert mail.component(3, 2) == "XDM/1.0/DDM+CR d’examens ^ L'HERMIT-DUCOIN  AUGUSTE"
    assert mail.component(3, 3) == ""
    assert base64.b64decode(mail.component(5, 5)).decode() == MAIL.text
    assert mail.field(11) == "F"


def test_an_empty_mail_keeps_the_components_of_its_content() -> None:
    assert built(mail=replace(MAIL, text=""))["OBX2"].field(5) == "^text^^Base64^"


@pytest.mark.parametrize("flags", [(False, False, False), (True, False, True), (True, True, True)])
def test_the_four_restrictions_close_the_message_and_masque_ps_is_never_y(
    flags: tuple[bool, bool, bool],
) -> None:
    patient, legal, changed = flags
    message = built(invisible_patient=patient, invisible_rep_legaux=legal, masks_changed=changed)
    results = [message[f"OBX{n}"] for n in range(3, 7)]
    assert [r.component(3, 1) for r in results] == [
        "MASQUE_PS",
        "INVISIBLE_PATIENT",
        "INVISIBLE_REP_LEGAUX",
        "MODIF_CONF_CODE",
    ]
    assert [r.component(5, 1) for r in results] == ["N", *("Y" if f else "N" for f in flags)]
    assert {r.field(2) for r in results} == {"CWE"}
    assert {r.component(3, 3) for r in results} == {"MetaDMPMSS"}
    assert {(r.component(5, 2), r.component(5, 3)) for r in results} == {
        ("", "expandedYes-NoIndicator")
    }
    assert {r.field(11) for r in results} == {"F"}


def test_a_latin_9_target_gets_the_nearest_characters_and_the_cda_as_it_is() -> None:
    target = replace(TARGET, charset=er7.LATIN9)
    traits = replace(TRAITS, used_name="ŽIŽEK‐ŐRI｜明")
    message = written(order(traits=traits), target)
    segments = read(message, "iso8859-15")
    assert segments[0].field(18) == "8859/15"
    assert segments[2].component(5, 1, 2) == "ŽIŽEK-ORI|?"
    assert segments[12].component(3, 2) == "XDM/1.0/DDM+CR d'examens ^ L'HERMIT-DUCOIN  AUGUSTE"
    assert base64.b64decode(segments[7].component(5, 5)) == CONTENT
    assert mdm.unencodable(order(traits=traits), target) == 1
    assert mdm.unencodable(order(traits=traits), TARGET) == 0


nasty = st.text(alphabet=st.characters(), max_size=30) | st.sampled_from(
    ["|^~\\&", "\r\n\x0b\x1c", "^"]
)


@given(nasty, nasty, nasty, st.sampled_from([er7.UTF8, er7.LATIN9]))
def test_no_text_can_add_a_segment_a_field_or_a_repetition(
    name: str, subject: str, identifier: str, charset: str
) -> None:
    target = replace(TARGET, charset=charset, sending_facility="X")
    hostile = order(
        traits=replace(TRAITS, birth_name=name, used_name=name, birth_place=subject),
        mail=replace(MAIL, subject=subject, message_id=name, sender=identifier),
        document=replace(
            DOCUMENT, label=subject, id_extension=identifier, legal_authenticator=name
        ),
    )
    message = written(hostile, target)
    segments = read(message, "utf-8" if charset == er7.UTF8 else "iso8859-15")
    plain = read(written(order(), TARGET))
    assert [s.name for s in segments] == [s.name for s in plain]
    assert message.count(b"\r") == len(plain)
    assert not {0x0B, 0x1C} & set(message)
    assert len(segments[2].fields) == len(plain[2].fields)
    assert len(segments[2].repetitions(5)) == 2
    expected = er7.fit(er7.clean(name), charset)
    assert segments[2].component(5, 1) == expected
    assert segments[7].field(11) == "F"


def test_control_ids_are_stable_short_and_distinct() -> None:
    one = mdm.control_id("a" * 64, "1.2^3", Event.NEW)
    assert one == mdm.control_id("a" * 64, "1.2^3", Event.NEW)
    others = {
        mdm.control_id("b" * 64, "1.2^3", Event.NEW),
        mdm.control_id("a" * 64, "1.2^4", Event.NEW),
        mdm.control_id("a" * 64, "1.2^3", Event.DELETE),
    }
    assert len({one, *others}) == 4
    assert len(one) == 20
    assert one.isascii()
    assert one.isalnum()


@pytest.mark.parametrize("event", Event)
def test_hl7types_reads_the_message_back(event: Event) -> None:
    short = order(event, mail=replace(MAIL, message_id="<77@x>"))  # it limits OBX-3.1 to 20
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it knows no PRT in version 2.6
        message: Any = decode_er7(written(short, TARGET).decode(), strict=False)
    assert message.PID.pid_5[0].xpn_1.fn_1 == "L'HERMIT-DUCOIN"
    assert message.PID.pid_11[1].xad_7 == "BDL"
    assert message.MSH.msh_9.msg_2 == event.value


@pytest.mark.parametrize("event", Event)
def test_hl7apy_reads_the_message_back(event: Event) -> None:
    whole = written(order(event), TARGET).decode()
    known = "\r".join(s for s in whole.split("\r") if not s.startswith("PRT"))
    message = parse_message(known, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    assert message.pid.pid_3[1].cx_1.to_er7() == NIR
    assert message.txa.txa_12.ei_1.to_er7() == "2026-0417"
    assert message.obx[0].obx_5.to_er7().endswith(base64.b64encode(CONTENT).decode())


def test_a_large_document_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        large = order(content=bytes(size))
        started = time.process_time()
        assert len(written(large, TARGET)) > size
        return time.process_time() - started

    seconds(1_000_000)
    assert seconds(20_000_000) < 2
