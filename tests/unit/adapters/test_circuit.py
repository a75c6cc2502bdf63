"""A dead DPI is asked once, not by every job; the circuit closes by itself."""

from dataclasses import replace

import pytest

from pfi.adapters.circuit import OPEN_S, Circuits
from pfi.errors import Misconfigured, NotAsked, OutcomeUnknown, Unavailable
from pfi.names import Reason
from tests.doubles.drive import HOSPITAL
from tests.doubles.memory import MemoryDpi

TARGET = HOSPITAL.dpis[0]
AWAY = Unavailable(Reason.DPI_UNAVAILABLE)
MISTRUSTED = Misconfigured(Reason.CERTIFICATE)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def dpi():
    return MemoryDpi()


@pytest.fixture
def ask(clock, dpi):
    circuits = Circuits(clock)

    def asked(target=TARGET):
        return circuits.fuse(target, lambda: dpi).exchange((b"MSH",), "1")

    return asked


@pytest.mark.parametrize("fault", [AWAY, MISTRUSTED])
def test_after_a_failed_connection_the_next_jobs_hear_at_once_that_nobody_asked(ask, dpi, fault):
    dpi.answers = [fault]
    with pytest.raises(type(fault)):
        ask()
    for _ in range(5):
        with pytest.raises(NotAsked, match=fault.reason.value):
            ask()
    assert len(dpi.received) == 1


def test_a_fault_of_the_peer_itself_is_never_told_as_not_asked(ask, dpi):
    dpi.answers = [AWAY]
    with pytest.raises(Unavailable) as found:
        ask()
    assert not isinstance(found.value, NotAsked)


def test_a_dpi_that_hiccuped_is_asked_again_within_seconds(ask, dpi, clock):
    dpi.answers = [AWAY]
    with pytest.raises(Unavailable):
        ask()
    clock.now += 5
    assert b"MSA|AA|1" in ask()


def test_the_circuit_closes_by_itself(ask, dpi, clock):
    dpi.answers = [AWAY]
    with pytest.raises(Unavailable):
        ask()
    clock.now += OPEN_S
    assert b"MSA|AA|1" in ask()


def test_a_dpi_that_is_still_away_opens_it_again(ask, dpi, clock):
    dpi.answers = [AWAY, AWAY]
    for _ in range(3):
        with pytest.raises(Unavailable):
            ask()
        clock.now += OPEN_S / 2
    assert len(dpi.received) == 2


def test_a_lost_answer_does_not_open_it(ask, dpi):
    dpi.answers = [OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)]
    with pytest.raises(OutcomeUnknown):
        ask()
    assert b"MSA|AA|1" in ask()


def test_another_dpi_and_the_repaired_address_of_this_one_are_asked(ask, dpi):
    dpi.answers = [AWAY]
    with pytest.raises(Unavailable):
        ask()
    assert ask(replace(TARGET, id="other"))
    assert ask(replace(TARGET, host="repaired"))


def test_an_interface_that_cannot_even_be_made_opens_it(clock):
    made = []

    def broken():
        made.append(1)
        raise Misconfigured(Reason.CERTIFICATE)

    circuits = Circuits(clock)
    for fault in (Misconfigured, NotAsked, NotAsked):
        with pytest.raises(fault, match=Reason.CERTIFICATE.value):
            circuits.fuse(TARGET, broken).exchange((b"MSH",), "1")
    assert len(made) == 1
