"""A patient file into the base: the rules of the feed, resumed, repeated, beside other writers."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from infra.local.invented.identities import identities
from infra.local.invented.identity_messages import Told, message
from pfi.adapters.loads import raws
from pfi.errors import Unavailable
from pfi.ins.concordance import inactive
from pfi.ins.patient_lines import Fault, Flaw, Format, HeadRefused, layout
from pfi.journey import loading
from pfi.journey.feed import feed
from pfi.journey.loading import Loading, Writers, beginning, report_of
from tests.data.builders import ANDRE, LEA, SAMIR, THEO, YANN, patient_csv
from tests.doubles.patient_base import FEED, MemoryFeed, MemoryPatientBase

NOW = datetime(2026, 5, 14, 12, 0, tzinfo=UTC)
AS_OF = datetime(2026, 5, 14, 2, 0, tzinfo=UTC)


@dataclass
class Ports:
    """Loading in memory: one writer, a clock that stands, waits that are counted."""

    base: MemoryPatientBase = field(default_factory=MemoryPatientBase)
    kept: dict = field(default_factory=dict)
    waits: list = field(default_factory=list)
    writers: Writers = field(default_factory=Writers)

    @property
    def checkpoints(self):
        return self

    def progress(self, establishment, file):
        return self.kept.get((establishment, file))

    def keep(self, establishment, progress, now):
        self.kept[establishment, progress.file] = progress

    def now(self):
        return NOW

    def wait(self, seconds):
        self.waits.append(seconds)


def load(text, ports, *, as_of=AS_OF, more=lambda _: True, file="f" * 64):
    raw = text if isinstance(text, bytes) else text.encode()
    lines = raw.splitlines(keepends=True)
    head = layout(lines[:2], Format.CSV)
    before = ports.progress("ch", file) or beginning(file, head, as_of, NOW)
    stream = BytesIO(raw)
    stream.seek(before.offset)
    return Loading("ch", head, ports).run(raws(stream, before.offset), before, more)


def records(ports):
    return {ipp: filed.kept.record for (_, ipp), filed in ports.base.filed.items()}


def tell(ports, told):
    answer = feed(message(told), FEED, MemoryFeed(base=ports.base))
    assert b"MSA|AA|" in answer.ack


def test_a_file_makes_the_base():
    ports = Ports()
    done = load(patient_csv(), ports)
    assert (done.identities, done.written, done.refused, done.finished) == (7, 7, 0, True)
    assert records(ports)[LEA.ipp].matricule == LEA.matricule
    assert ports.base.find("ch", LEA.matricule, LEA.oid) == (records(ports)[LEA.ipp],)


def test_what_the_repository_said_later_than_the_file_stands():
    ports = Ports()
    tell(ports, Told(trigger="A28", at="20260514080000", patient=replace(LEA, status="PROV")))
    done = load(patient_csv([LEA]), ports)
    assert records(ports)[LEA.ipp].status == "PROV"
    assert (done.written, done.unchanged) == (0, 1)


def test_what_the_repository_said_before_the_file_is_overruled():
    ports = Ports()
    tell(ports, Told(trigger="A28", at="20260513080000", patient=replace(LEA, status="PROV")))
    load(patient_csv([LEA]), ports)
    assert (records(ports)[LEA.ipp].status, records(ports)[LEA.ipp].matricule) == (
        "VALI",
        LEA.matricule,
    )


def test_a_line_without_ins_takes_it_away_and_keeps_it_as_a_former_number():
    ports = Ports()
    tell(ports, Told(trigger="A28", at="20260513080000", patient=LEA))
    load(patient_csv([replace(LEA, body="", status="PROV")]), ports)
    [record] = ports.base.find("ch", LEA.matricule, LEA.oid)
    assert (record.matricule, record.aliases) == ("", ((LEA.matricule, LEA.oid),))


def test_a_message_after_the_load_overrules_the_file():
    ports = Ports()
    load(patient_csv([LEA]), ports)
    tell(ports, Told(trigger="A31", at="20260514080000", patient=replace(LEA, status="PROV")))
    assert records(ports)[LEA.ipp].status == "PROV"


def test_a_merged_line_leads_to_its_survivor_wherever_that_one_stands():
    ports = Ports()
    old = replace(LEA, ipp="1", merged_into="3")
    load(patient_csv([old, replace(LEA, ipp="2", merged_into="1"), replace(LEA, ipp="3")]), ports)
    found = records(ports)
    assert {ipp: found[ipp].merged_into for ipp in "123"} == {"1": "3", "2": "3", "3": ""}
    assert inactive(found["1"])
    assert found["3"].matricule == LEA.matricule


def test_merges_in_a_circle_are_told():
    ports = Ports()
    two = [replace(LEA, ipp="1", merged_into="2"), replace(LEA, ipp="2", merged_into="1")]
    done = load(patient_csv(two), ports)
    assert Flaw(3, "merged_into", Fault.CIRCLE) in done.flaws
    assert all(inactive(record) for record in records(ports).values())


def test_a_line_of_an_absorbed_identity_does_not_undo_its_merge():
    ports = Ports()
    tell(ports, Told(trigger="A40", at="20260513080000", patient=LEA, replaced=("9",)))
    load(patient_csv([replace(LEA, ipp="9")]), ports)
    assert records(ports)["9"].merged_into == LEA.ipp


@pytest.mark.parametrize("between", [0, 1, 40])
def test_of_two_lines_with_one_ipp_the_first_stands_and_the_second_is_told(between, monkeypatch):
    monkeypatch.setattr(loading, "STRETCH", 20)
    ports = Ports()
    others = list(identities(between))
    done = load(patient_csv([LEA, *others, replace(YANN, ipp=LEA.ipp)]), ports)
    assert done.flaws == (Flaw(between + 3, "ipp", Fault.REPEATED),)
    assert done.refused == 1
    assert records(ports)[LEA.ipp].traits == LEA.traits


def test_lines_that_are_wrong_are_left_out_and_the_others_loaded():
    ports = Ports()
    text = patient_csv([LEA, YANN, ANDRE]).replace(",M,", ",H,", 1)
    done = load(text, ports)
    assert (done.identities, done.written, done.refused) == (2, 2, 1)
    assert done.flaws == (Flaw(3, "sex", Fault.FORM),)
    assert set(records(ports)) == {LEA.ipp, ANDRE.ipp}


def test_a_line_that_is_far_too_long_costs_itself_only():
    ports = Ports()
    lines = patient_csv([LEA, YANN]).encode().splitlines(keepends=True)
    done = load(b"".join([lines[0], lines[1], b"x" * 200_000 + b"\n", lines[2]]), ports)
    assert done.flaws == (Flaw(3, "line", Fault.UNREADABLE),)
    assert set(records(ports)) == {LEA.ipp, YANN.ipp}


def test_the_same_file_again_writes_nothing():
    ports = Ports()
    text = patient_csv(list(identities(50)))
    load(text, ports)
    revisions = {key: filed.revision for key, filed in ports.base.filed.items()}
    assert load(text, ports, file="e" * 64).written == 0
    assert {key: filed.revision for key, filed in ports.base.filed.items()} == revisions


@pytest.mark.parametrize("stop", range(6))
def test_a_load_goes_on_where_it_stopped_and_ends_as_if_it_had_not(stop, monkeypatch):
    monkeypatch.setattr(loading, "STRETCH", 20)
    text = patient_csv([*identities(110), LEA, LEA])
    whole, torn = Ports(), Ports()
    expected = load(text, whole)
    calls = []
    load(text, torn, more=lambda _: calls.append(1) or len(calls) <= stop)
    assert load(text, torn) == expected
    assert records(torn) == records(whole)


def test_a_kill_between_the_writing_and_the_checkpoint_changes_nothing_of_the_end(monkeypatch):
    monkeypatch.setattr(loading, "STRETCH", 20)
    text = patient_csv([*identities(90), LEA, LEA])
    whole, torn = Ports(), Ports()
    expected = load(text, whole)
    monkeypatch.setattr(torn, "keep", killed, raising=False)
    with pytest.raises(KeyboardInterrupt):
        load(text, torn)
    monkeypatch.undo()
    again = load(text, torn)
    assert (again.flaws, again.refused) == (expected.flaws, expected.refused)
    assert records(torn) == records(whole)


def killed(*_):
    raise KeyboardInterrupt


def test_a_busy_table_is_waited_for_a_dead_one_is_told():
    ports = Ports()
    ports.base.down = 3
    load(patient_csv([LEA]), ports)
    assert ports.waits == [0.1, 0.2, 0.4]
    ports.base.down = 99
    with pytest.raises(Unavailable):
        load(patient_csv([SAMIR]), ports, file="d" * 64)


def test_a_message_between_the_reading_and_the_writing_is_not_lost(monkeypatch):
    ports = Ports()
    later = Told(trigger="A28", at="20260514080000", patient=replace(LEA, status="PROV"))
    original = ports.base.write
    told = []

    def write(*given):
        if not told:
            told.append(1)
            tell(ports, later)
        return original(*given)

    monkeypatch.setattr(ports.base, "write", write)
    load(patient_csv([LEA, THEO]), ports)
    assert records(ports)[LEA.ipp].status == "PROV"
    assert records(ports)[THEO.ipp].status == "VALI"


def test_a_file_from_tomorrow_is_refused():
    text = patient_csv([LEA])
    with pytest.raises(HeadRefused):
        load(text, Ports(), as_of=NOW + timedelta(days=2))


def test_the_time_in_the_file_goes_before_the_given_one():
    ports = Ports()
    tell(ports, Told(trigger="A28", at="20260513080000", patient=replace(LEA, status="PROV")))
    load("# as_of=2026-05-12T02:00:00+00:00\n" + patient_csv([LEA]), ports)
    assert records(ports)[LEA.ipp].status == "PROV"


def test_the_list_of_faults_is_bounded_their_count_is_not(monkeypatch):
    monkeypatch.setattr(loading, "LISTED", 5)
    wrong = [replace(each, sex="H") for each in identities(30)]
    done = load(patient_csv(wrong), Ports())
    assert (len(done.flaws), done.counts["sex:form"], done.refused) == (5, 30, 30)


def test_the_report_tells_lines_fields_and_faults_and_no_value():
    wrong = [replace(each, sex="H") for each in (LEA, YANN)]
    told = repr(report_of(load(patient_csv(wrong), Ports())))
    assert "'line': 2, 'field': 'sex', 'fault': 'form'" in told
    for person in (LEA, YANN):
        assert person.birth_name not in told
        assert person.ipp not in told
