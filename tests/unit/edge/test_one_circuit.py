"""The ports of a sandbox keep one circuit per DPI for all its jobs."""

import pytest

from pfi.edge.settings import environment
from pfi.edge.wiring import Services
from pfi.errors import NotAsked, Unavailable
from pfi.names import Reason
from tests.doubles.drive import HOSPITAL
from tests.doubles.memory import MemoryDpi

TARGET = HOSPITAL.dpis[0]


def test_the_next_job_of_a_sandbox_knows_that_the_dpi_just_refused_one(monkeypatch):
    away = MemoryDpi(answers=[Unavailable(Reason.DPI_UNAVAILABLE)])
    monkeypatch.setattr(Services, "interface", lambda _self, _target: away)
    sandbox = Services(environment({}))
    with pytest.raises(Unavailable) as tried:
        sandbox.dpi(TARGET).exchange((b"MSH",), "1")
    with pytest.raises(NotAsked):
        sandbox.dpi(TARGET)
    assert not isinstance(tried.value, NotAsked)
    assert len(away.received) == 1


def test_another_sandbox_finds_out_for_itself(monkeypatch):
    dpi = MemoryDpi(answers=[Unavailable(Reason.DPI_UNAVAILABLE)])
    monkeypatch.setattr(Services, "interface", lambda _self, _target: dpi)
    with pytest.raises(Unavailable):
        Services(environment({})).dpi(TARGET).exchange((b"MSH",), "1")
    assert Services(environment({})).dpi(TARGET).exchange((b"MSH",), "1")
