"""The reader of ADT messages: lenient in form, strict about whose identity it is."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.invented.identity_messages import Told, message, pid
from pfi.errors import Unreadable
from pfi.hl7 import adt as pam
from pfi.hl7.pid import Authority, stamp
from pfi.ins.events import Change, Note
from pfi.ins.identity import InsKind
from pfi.names import Reason
from tests.data.builders import LEA, THEO, YANN
from tests.doubles.patient_base import FEED

AUTHORITY = Authority.of(FEED.ipp_authority)
TOLD = Told(trigger="A28", at="20260514080000", patient=LEA)
OWN = f"{LEA.ipp}^^^CH-EXEMPLE&1.2.3.4.5&ISO^PI"


def event(raw, authority=AUTHORITY):
    return pam.event(pam.read(raw), authority)


def changed(old, new, told=TOLD):
    raw = message(told).decode()
    assert old in raw
    return raw.replace(old, new).encode()


def with_ids(*ids):
    own = pid(TOLD).split("|")[3]
    return event(changed(own, "~".join((OWN, *ids)))).subjects[0].person


def refused(raw, authority=AUTHORITY):
    with pytest.raises(Unreadable) as fault:
        event(raw, authority)
    return fault.value.reason, fault.value.code


def test_a_message_gives_the_identity_that_its_sender_wrote():
    found = event(message(TOLD))
    [subject] = found.subjects
    assert (found.change, found.at, subject.ipp) == (Change.STATE, "20260514060000", LEA.ipp)
    assert subject.person.ins == (LEA.matricule, LEA.oid)
    assert subject.person.traits == {
        name: getattr(LEA, name) for name in LEA.record.traits.__slots__
    }
    assert (subject.person.status, found.notes) == ("VALI", frozenset())


@pytest.mark.parametrize("charset", ["UNICODE UTF-8", "8859/15", "8859/1", "", "UNICODE"])
def test_a_declared_character_set_is_read(charset):
    assert event(message(TOLD, charset)).subjects[0].person.traits["first_given"] == "LÉA"


def test_latin_text_declared_as_utf_8_is_read_all_the_same():
    raw = message(TOLD).decode().encode("iso8859-15")
    assert event(raw).subjects[0].person.traits["first_given"] == "LÉA"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r"])
def test_segments_may_end_in_other_ways(end):
    assert event(message(TOLD).replace(b"\r", end.encode())) == event(message(TOLD))


@pytest.mark.parametrize("version", ["2.5", "2.3.1", "2.6", "2.5^FRA^2.8", ""])
def test_any_version_is_read(version):
    assert event(changed("2.5^FRA^2.11", version)) == event(message(TOLD))


def test_other_delimiters_are_those_that_msh_declares():
    raw = message(TOLD).translate(bytes.maketrans(b"^&", b"&^")).replace(b"|&~\\^|", b"|&~\\^|")
    assert event(raw).subjects[0].ipp == LEA.ipp


# --- PID-3


def test_identifiers_may_come_in_any_order():
    ids = pid(TOLD).split("|")[3]
    assert event(changed(ids, "~".join(reversed(ids.split("~"))))) == event(message(TOLD))


@pytest.mark.parametrize(
    "identifier",
    ["{}^^^ASIP-SANTE-INS-NIR&&ISO^INS", "{}^^^ASIP-SANTE-INS-NIR", "{}^^^X^INS-NIR", "{}^^^^INS"],
)  # fmt: skip
def test_an_ins_without_its_oid_is_known_by_the_words_of_the_feed(identifier):
    assert with_ids(identifier.format(LEA.matricule)).ins == (LEA.matricule, InsKind.NIR)
    own = pid(TOLD).split("|")[3]
    found = event(changed(own, f"{OWN}~{identifier.format(LEA.matricule)}"))
    assert Note.OID_DEDUCED in found.notes


def test_a_nia_without_its_oid_is_a_nia():
    assert with_ids(f"{LEA.matricule}^^^ASIP-SANTE-INS-NIA^INS").ins == (LEA.matricule, InsKind.NIA)


@pytest.mark.parametrize(
    "identifier",
    [
        "{}^^^ASIP-SANTE-INS-C&1.2.250.1.213.1.4.2&ISO^INS-C",
        "{}^^^X&1.2.250.1.213.1.4.6&ISO^INS",
        "{}^^^X&1.2.250.1.213.1.4.13&ISO^NSS",
        "{}^^^OTHER&9.9.9&ISO^PI",
        "{}^^^FRA^PPN",
    ],
)
def test_what_is_no_ins_is_ignored(identifier):
    person = with_ids(identifier.format(LEA.matricule))
    assert (person.ins, person.former) == (None, ())


def test_of_a_nir_and_a_nia_the_nir_is_current():
    nir = f"{LEA.matricule}^^^X&{InsKind.NIR}&ISO^INS"
    nia = f"{YANN.matricule}^^^X&{InsKind.NIA}&ISO^INS"
    person = with_ids(nia, nir)
    assert person.ins == (LEA.matricule, InsKind.NIR)
    assert person.former == ((YANN.matricule, InsKind.NIA),)


def test_two_numbers_of_one_kind_make_neither_official():
    own = pid(TOLD).split("|")[3]
    found = event(changed(own, f"{own}~{THEO.matricule}^^^X&{LEA.oid}&ISO^INS"))
    assert found.subjects[0].person.ins is None
    assert len(found.subjects[0].person.former) == 2
    assert Note.INS_CONFLICT in found.notes


def test_a_malformed_number_is_kept_but_never_current():
    person = with_ids(f"{LEA.body}^^^X&{InsKind.NIA}&ISO^INS")
    assert (person.ins, person.former) == (None, ((LEA.body, InsKind.NIA),))


def test_an_expired_number_is_a_former_one():
    old = f"{YANN.matricule}^^^X&{LEA.oid}&ISO^INS^^20200101^20260513"
    new = f"{LEA.matricule}^^^X&{LEA.oid}&ISO^INS^^20260101^20990101"
    person = with_ids(old, new)
    assert person.ins == (LEA.matricule, LEA.oid)
    assert person.former == ((YANN.matricule, LEA.oid),)


def test_an_expired_own_number_is_none():
    expired = OWN.replace(LEA.ipp, "1") + "^^20200101^20260513"
    assert event(changed(OWN, f"{expired}~{OWN}")).subjects[0].ipp == LEA.ipp
    assert refused(changed(OWN, expired)) == (Reason.FEED_WITHOUT_IPP, "101")


def test_a_number_is_valid_on_the_day_on_which_it_expires():
    number = f"{LEA.matricule}^^^X&{LEA.oid}&ISO^INS^^20260101^"
    assert with_ids(number + "20260514").ins == (LEA.matricule, LEA.oid)
    assert with_ids(number + "20260514075959").ins is None
    assert with_ids(number + "20260514080001").ins == (LEA.matricule, LEA.oid)


@pytest.mark.parametrize(
    ("own", "authority"),
    [
        ("1^^^CH-EXEMPLE^PI", "CH-EXEMPLE&1.2.3.4.5&ISO"),
        ("1^^^&1.2.3.4.5&ISO^PI", "CH-EXEMPLE&1.2.3.4.5&ISO"),
        ("1^^^ANCIEN NOM&1.2.3.4.5&ISO^PI", "CH-EXEMPLE&1.2.3.4.5&ISO"),
        ("1^^^CH-EXEMPLE&1.2.3.4.5&ISO^PI", "CH-EXEMPLE"),
    ],
)
def test_the_own_number_is_known_by_its_oid_else_by_its_namespace(own, authority):
    raw = changed(OWN, own)
    assert event(raw, Authority.of(authority)).subjects[0].ipp == "1"


@pytest.mark.parametrize(
    "own",
    [
        "1^^^CH-EXEMPLE&1.2.3.4.5&ISO^AN",
        "1^^^CH-EXEMPLE&9.9.9&ISO^PI",
        "1^^^AUTRE^PI",
        "^^^CH-EXEMPLE&1.2.3.4.5&ISO^PI",
        f"{OWN}~2^^^CH-EXEMPLE&1.2.3.4.5&ISO^PI",
    ],
)
def test_without_exactly_one_own_number_nothing_is_read(own):
    assert refused(changed(OWN, own)) == (Reason.FEED_WITHOUT_IPP, "101")


# --- the rest of PID


def test_a_name_without_a_type_is_the_birth_name_and_other_types_are_ignored():
    names = pid(TOLD).split("|")[5]
    raw = changed(names, "SCENE^X^^^^^S~MARTIN^ZOE~OTHER^Y^^^^^L")
    assert event(raw).subjects[0].person.traits["birth_name"] == "MARTIN"


def test_escapes_and_subcomponents_of_a_name_are_read():
    raw = changed(pid(TOLD).split("|")[5], r"DUPONT\T\FILS&DE&DUPONT^JEAN\R\LUC^^^^^L")
    traits = event(raw).subjects[0].person.traits
    assert (traits["birth_name"], traits["first_given"]) == ("DUPONT&FILS", "JEAN~LUC")


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("^^^^75001^FRA^BDL^^2A041", "2A041"),
        ("A^^B^^75001^FRA^H~^^^^^^BDL^^99100", "99100"),
        ("^^^^75001^^BDL", None),
        ("^^^^^^BDL^^PARIS", None),
        ("^^^^^^H^^75056", None),
        ('""', ""),
    ],
)
def test_the_birth_place_is_the_code_of_the_repetition_bdl_and_nothing_else(field, place):
    raw = changed(pid(TOLD).split("|")[11], field)
    assert event(raw).subjects[0].person.traits.get("birth_place") == place


def test_a_birth_date_with_a_time_keeps_its_eight_digits():
    raw = changed("|19870412|", "|198704120830+0200|")
    assert event(raw).subjects[0].person.traits["birth_date"] == "19870412"


# --- times and shapes


def test_times_are_compared_in_utc_and_paris_is_meant_without_a_zone():
    assert stamp("20260113080000") == "20260113070000"
    assert stamp("20260713080000") == stamp("202607130800+0200") == "20260713060000"
    assert stamp("20260713") == "20260712220000"
    assert stamp("20260713080000.2500") == "20260713060000.25"
    assert stamp("20260713060000+0000") < stamp("20260713080000.01")
    assert [stamp(each) for each in ("", "202", "20261399", '""', "demain", "0000")] == [""] * 6


def test_the_time_of_an_event_is_its_record_else_its_happening_else_that_of_the_message():
    evn = "EVN||20260514080000||||20260514080000"
    assert event(changed(evn, "EVN||||||20260514070000")).at == "20260514050000"
    assert event(changed(evn, "EVN|A28")).at == "20260514060000"
    raw = changed(evn, "EVN").replace(b"CH-EXEMPLE|20260514080000|", b"CH-EXEMPLE||")
    assert refused(raw) == (Reason.FEED_TIME, "101")


def test_several_groups_of_a_merge_keep_their_own_identifiers():
    one = message(replace(TOLD, trigger="A40", replaced=("81", "82"))).decode()
    other = message(replace(TOLD, trigger="A40", patient=THEO, replaced=("83",))).decode()
    raw = one + "\r".join(other.split("\r")[2:])
    assert [(s.ipp, s.replaced) for s in event(raw.encode()).subjects] == [
        (LEA.ipp, ("81", "82")),
        (THEO.ipp, ("83",)),
    ]


@pytest.mark.parametrize("trigger", ["A40", "A47", "A24", "A37"])
def test_a_relation_without_a_second_number_is_refused(trigger):
    reason, _ = refused(message(replace(TOLD, trigger=trigger)))
    assert reason in {Reason.FEED_UNREADABLE, Reason.FEED_WITHOUT_IPP}


def test_a_link_may_come_as_two_pid_or_as_pid_and_mrg():
    link = replace(TOLD, trigger="A24", replaced=("81",))
    mrg = message(link).replace(b"PID|1||81", b"MRG|81")
    assert [s.replaced for s in event(mrg).subjects] == [("81",)]
    first, second = event(message(link)).subjects
    assert (first.replaced, second.ipp, second.person) == (("81",), "81", None)


@pytest.mark.parametrize(
    "raw", [b"", b"MSH", b"PID|1", b"MSH|^~\\&|A|B|C|D|20260514||ORU^R01|1|P|2.5", b"\x00" * 99]
)
def test_what_is_no_adt_is_unreadable(raw):
    assert refused(raw)[0] is Reason.FEED_UNREADABLE


def test_a_second_message_in_one_body_is_not_dropped_in_silence():
    other = message(replace(TOLD, patient=THEO))
    for raw in (message(TOLD) + other, message(TOLD) + b"\x1c\r\x0b" + other):
        assert refused(raw) == (Reason.FEED_UNREADABLE, "100")


@pytest.mark.parametrize("trigger", ["A28", "A31", "A08", "A29"])
def test_a_second_person_in_a_message_about_one_is_not_dropped_in_silence(trigger):
    raw = message(replace(TOLD, trigger=trigger)) + pid(replace(TOLD, patient=THEO)).encode()
    assert refused(raw) == (Reason.FEED_UNREADABLE, "100")


@pytest.mark.parametrize("more", [f"MRG|9^^^{FEED.ipp_authority}^PI", pid(TOLD)])
def test_every_pid_of_a_merge_has_its_mrg(more):
    raw = message(replace(TOLD, trigger="A40", replaced=("81",))).decode()
    refused((raw + more).encode())
    assert refused(raw.replace("\rPID", f"\r{more}\rPID").encode())[0] is Reason.FEED_UNREADABLE


def test_a_message_without_pid_and_one_that_is_too_large_are_unreadable():
    assert refused(message(TOLD).split(b"\rPID")[0])[0] is Reason.FEED_UNREADABLE
    assert refused(message(TOLD) + b"Z" * pam.MAX_BYTES)[0] is Reason.FEED_UNREADABLE


@given(st.binary(max_size=300), st.integers(0, 600), st.integers(0, 40))
def test_damaged_messages_are_read_or_unreadable_and_always_answered(junk, at, cut):
    raw = message(replace(TOLD, trigger="A40", replaced=("81",)))
    adt = pam.read(raw[:at] + junk + raw[at + cut :])
    with suppress(Unreadable):
        pam.event(adt, AUTHORITY)
    ack = pam.acknowledgement(adt, "AE", now="20260514080000", control_id="1")
    assert ack.startswith(b"MSH|^~\\&|")
    assert ack.count(b"\r") == 2
