"""Whatever the order and however often: the same messages, the same base."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.invented.identity_messages import Told, message
from pfi.ins.concordance import qualified
from pfi.ins.identity import InsKind
from pfi.journey.feed import feed
from tests.data.builders import LEA, YANN
from tests.doubles.patient_base import FEED, MemoryFeed

IPPS = ("1", "2", "3", "4")
TRIGGERS = ("A28", "A31", "A01", "A08", "A40", "A47", "A24", "A37", "A29")
RELATIONS = ("A40", "A47", "A24", "A37")

people = st.builds(
    lambda ipp, body, oid, status, name: replace(
        LEA, ipp=ipp, body=body, oid=oid, status=status, used_name=name
    ),
    ipp=st.sampled_from(IPPS),
    body=st.sampled_from((LEA.body, YANN.body, "")),
    oid=st.sampled_from((InsKind.NIR.value, InsKind.NIA.value)),
    status=st.sampled_from(("VALI", "VALI", "PROV", "VIDE")),
    name=st.sampled_from(("", "ALBA", "BRUNO")),
)


@st.composite
def days(draw):
    """Events at distinct times, some with a PID-33 that orders them otherwise, and an order in
    which they arrive, some of them again."""
    number = draw(st.integers(2, 9))
    changes = draw(st.permutations(range(number)))
    events = []
    for n in range(number):
        who, trigger = draw(people), draw(st.sampled_from(TRIGGERS))
        others = [ipp for ipp in IPPS if ipp != who.ipp]
        replaced = (draw(st.sampled_from(others)),) if trigger in RELATIONS else ()
        sparse = trigger == "A08" and draw(st.booleans())
        at = f"2026051408{n:02}00"
        changed = f"202605140{draw(st.sampled_from('78'))}{changes[n]:02}30"
        changed = changed if draw(st.booleans()) else ""
        told = Told(trigger=trigger, at=at, patient=who, replaced=replaced, changed_at=changed)
        events.append(replace(told, sparse=sparse))
    arrival = draw(st.permutations(events))
    again = draw(st.lists(st.sampled_from(events), max_size=4))
    return events, [*arrival, *again]


def base_after(events):
    ports = MemoryFeed()
    for each in events:
        feed(message(each), FEED, ports)
    return {ipp: filed.kept for (_, ipp), filed in ports.base.filed.items()}


@settings(max_examples=300, deadline=None)
@given(days())
def test_a_day_in_any_order_with_repetitions_leads_to_the_same_base(day):
    events, arrival = day
    assert base_after(arrival) == base_after(events)


@settings(max_examples=150, deadline=None)
@given(days())
def test_after_any_day_every_absorbed_record_names_a_survivor_that_lives_or_nobody(day):
    records = {ipp: kept.record for ipp, kept in base_after(day[1]).items()}
    for record in records.values():
        if record.merged_into:
            assert (record.active, record.matricule) == (False, "")
            assert not records[record.merged_into].merged_into
            assert "DESA" not in records[record.merged_into].attributes


@settings(max_examples=150, deadline=None)
@given(days())
def test_the_pointers_of_the_base_are_those_of_its_records(day):
    ports = MemoryFeed()
    for each in day[1]:
        feed(message(each), FEED, ports)
    for ipp, kept in ((i, f.kept) for (_, i), f in ports.base.filed.items()):
        numbers = [*kept.record.aliases, *([(kept.record.matricule, kept.record.oid)])]
        for number in (each for each in numbers if each[0]):
            assert ipp in {record.ipp for record in ports.base.find("ch", *number)}


@settings(max_examples=300, deadline=None)
@given(days())
def test_nobody_is_qualified_whose_last_event_said_something_else(day):
    events, arrival = day
    base = base_after(arrival)
    for ipp, kept in base.items():
        spoken = [e for e in events if e.patient.ipp == ipp and e.trigger != "A29" and not e.sparse]
        named = [e for e in spoken if e.patient.body or e.trigger not in ("A01", "A08")
                 or e.patient.status != "VALI"]  # fmt: skip
        if qualified(kept.record):
            last = named[-1].patient
            assert (last.matricule, str(last.oid), last.status) == (
                kept.record.matricule, kept.record.oid, "VALI",
            )  # fmt: skip
