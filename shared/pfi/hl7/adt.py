"""ADT messages of IHE PAM, French extension: what they say of identities, and their answer.

Lenient where feeds differ (PAM §6.1, §6.3): segment ends, character sets, order of repetitions,
events that carry no identity. Only what would attach a statement to the wrong person is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from pfi.errors import Unreadable
from pfi.hl7 import er7
from pfi.hl7.er7 import Segment
from pfi.hl7.pid import Authority, Pid, stamp
from pfi.ins.events import Change, IdentityEvent, Note, Subject
from pfi.names import Reason

MAX_BYTES: Final = 1_000_000
_CHARSETS: Final = {"UNICODE UTF-8": "utf-8", "8859/15": "iso8859-15", "8859/1": "iso8859-1"}
_CHANGES: Final = (
    dict.fromkeys(("A28", "A31"), Change.STATE)
    | dict.fromkeys(("A01", "A04", "A05", "A08"), Change.AMEND)
    | dict.fromkeys(("A40", "A18", "A34", "A36"), Change.MERGE)
    | dict.fromkeys(("A47", "A30", "A46"), Change.RENAME)
    | {"A24": Change.LINK, "A37": Change.UNLINK, "A29": Change.CLOSE}
)
"""Every other event is acknowledged and ignored: an error would block the whole feed (§6.2)."""
_PAIRS: Final = frozenset({Change.LINK, Change.UNLINK})
_REPLACING: Final = frozenset({Change.MERGE, Change.RENAME})


@dataclass(frozen=True, slots=True)
class Adt:
    """A message whose header could be read; '' for what it lacks."""

    segments: tuple[Segment, ...] = ()

    def header(self, number: int, component: int = 1) -> str:
        """A component of MSH."""
        return self.segments[0].component(number, component) if self.segments else ""

    @property
    def trigger(self) -> str:
        """A28, A31…"""
        return self.header(9, 2).strip().upper()

    @property
    def change(self) -> Change:
        """What the event does."""
        return _CHANGES.get(self.trigger, Change.NONE)

    @property
    def control_id(self) -> str:
        """MSH-10, that the answer repeats."""
        return self.header(10).strip()


def read(raw: bytes) -> Adt:
    """The segments of a message. Never raises: an answer is owed even to what cannot be read."""
    if len(raw) > MAX_BYTES:
        return Adt()
    declared = er7.segments(raw.removeprefix(b"\xef\xbb\xbf").decode("latin-1"))
    name = declared[0].component(18).strip().upper() if declared else ""
    return Adt(er7.segments(_decoded(raw, _CHARSETS.get(name, "utf-8"))))


def _decoded(raw: bytes, codec: str) -> str:
    """UTF-8 that is none is read as 8859/15: a wrong accent compares equal or sends to a person,
    a refused message would keep a state that is no more."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return raw.decode("iso8859-15")


def event(adt: Adt, authority: Authority) -> IdentityEvent:
    """What the message says under the numbers of this authority; Unreadable with the ERR-3 code."""
    if adt.header(9).strip().upper() != "ADT" or not adt.trigger:
        raise Unreadable(Reason.FEED_UNREADABLE, code="200")
    if adt.change is Change.NONE:
        return IdentityEvent(change=Change.NONE, at="")
    _alone(adt)
    at, until = _time(adt), _time(adt, second=True)
    pids = [Pid(s, authority, _subcomponents(adt)) for s in adt.segments if s.name == "PID"]
    if not pids:
        raise Unreadable(Reason.FEED_UNREADABLE, code="100")
    subjects = tuple(_SHAPES.get(adt.change, _groups)(adt, pids, at))
    notes = (note for pid in pids for note in _noted(adt.change, pid, at))
    return IdentityEvent(
        change=adt.change,
        at=at,
        until="" if until == at else until,
        subjects=subjects,
        notes=frozenset(notes),
    )


def _alone(adt: Adt) -> None:
    """One message in the body: what a second one says would be dropped with an AA."""
    begun = [each for each in adt.segments if each.name == "MSH"]
    if len(begun) > 1 or any("\v" in field for each in adt.segments for field in each.fields):
        raise Unreadable(Reason.FEED_UNREADABLE, code="100")


def _noted(change: Change, pid: Pid, at: str) -> Iterator[Note]:
    if change is not Change.CLOSE:
        yield from pid.notes(at)


def _time(adt: Adt, *, second: bool = False) -> str:
    """When the event was recorded (EVN-2), else when it happened (EVN-6), else MSH-7."""
    evn = next((s for s in adt.segments if s.name == "EVN"), None)
    told = [evn.component(2), evn.component(6)] if evn else []
    found = next(filter(None, (stamp(each, second=second) for each in [*told, adt.header(7)])), "")
    if not found:
        raise Unreadable(Reason.FEED_TIME, code="101")
    return found


def _subcomponents(adt: Adt) -> str:
    return (adt.segments[0].field(2) + "^~\\&"[len(adt.segments[0].field(2)) :])[3]


# --- the shapes of the messages -----------------------------------------------------------------


def _one(adt: Adt, pids: list[Pid], at: str) -> Iterator[Subject]:
    if len(pids) > 1:
        raise Unreadable(Reason.FEED_UNREADABLE, code="100")
    pid = pids[0]
    person = None if adt.change is Change.CLOSE else pid.person(at)
    yield Subject(ipp=pid.ipp(at), stated_at=pid.stated_at(at), person=person)


def _groups(adt: Adt, pids: list[Pid], at: str) -> Iterator[Subject]:
    """PID followed by its MRG, repeated: each MRG belongs to the PID before it (ADT_A39)."""
    left = iter(pids)
    pid: Pid | None = None
    for segment in adt.segments:
        if (segment.name == "PID" and pid) or (segment.name == "MRG" and not pid):
            raise Unreadable(Reason.FEED_UNREADABLE, code="100")
        if segment.name == "PID":
            pid = next(left)
        elif segment.name == "MRG" and pid:
            yield _replacing(pid, segment, at)
            pid = None
    if pid is not None:
        raise Unreadable(Reason.FEED_UNREADABLE, code="100")


def _replacing(pid: Pid, mrg: Segment, at: str) -> Subject:
    old = tuple(pid.of(mrg).identifiers(1, at))
    if not old:
        raise Unreadable(Reason.FEED_WITHOUT_IPP, code="101")
    stated = pid.stated_at(at)
    return Subject(ipp=pid.ipp(at), stated_at=stated, person=pid.person(at), replaced=old)


def _pairs(adt: Adt, pids: list[Pid], at: str) -> Iterator[Subject]:
    """Two PID, or a PID and a MRG. A PID without a name only points: it is no snapshot."""
    first, *others = pids
    numbers = [each.ipp(at) for each in others]
    for segment in adt.segments:
        numbers += pids[0].of(segment).identifiers(1, at) if segment.name == "MRG" else []
    if not numbers:
        raise Unreadable(Reason.FEED_WITHOUT_IPP, code="101")
    for pid, replaced in ((first, tuple(numbers)), *((each, ()) for each in others)):
        person = pid.person(at) if pid.named else None
        stated = pid.stated_at(at)
        yield Subject(ipp=pid.ipp(at), stated_at=stated, person=person, replaced=replaced)


_SHAPES: Final = dict.fromkeys(_PAIRS, _pairs) | dict.fromkeys(
    (Change.STATE, Change.AMEND, Change.CLOSE), _one
)


# --- the answer ---------------------------------------------------------------------------------


def acknowledgement(
    adt: Adt, code: str, *, now: str, control_id: str, reason: Reason | None = None, error: str = ""
) -> bytes:
    """The ACK of a message: AA, AE (never send again) or AR (send later), with its ERR (2.5).

    It repeats names and identifiers of the header, never anything of the patient.
    """
    word = partial(er7.text, charset=er7.UTF8)
    names = [word(adt.header(number)) for number in (5, 6, 3, 4)]
    event_code = f"ACK^{word(adt.trigger)}^ACK" if adt.trigger else "ACK"
    kind = word(adt.header(11)) or "P"
    msh = ["MSH", "^~\\&", *names, now, "", event_code, control_id, kind, "2.5^FRA^2.11"]
    lines = ["|".join([*msh, "", "", "", "", "FRA", er7.UTF8])]
    lines.append(f"MSA|{code}|{word(adt.control_id)}")
    if reason is not None:
        lines.append(f"ERR|||{error or '207'}|E|{reason.value}")
    return er7.encode("\r".join(lines) + "\r", er7.UTF8)


def utc(moment: datetime) -> str:
    """A moment as the times of events are written."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")
