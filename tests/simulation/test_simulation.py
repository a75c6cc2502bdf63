"""Whole hospitals under faults: nothing lost, nothing twice, never the wrong patient (design §6).

``SEED=n pytest tests/simulation -k replay`` replays one seed; ``SEEDS=n`` runs n fresh ones with
``-k fresh``, from seed ``FIRST`` on (default: from the clock). A failure names its seed.
"""

import os
import time

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.run import Failed, simulate

FIXED = 360
"""Fixed seeds of every run of the tests: about ten thousand mails."""
SLICE = 30
FRESH_S = float(os.environ.get("FRESH_S", "15"))


def _run(seeds):
    for seed in seeds:
        simulate(seed)


@pytest.mark.parametrize("first", range(0, FIXED, SLICE))
def test_every_promise_holds_whatever_breaks(first):
    _run(range(first, first + SLICE))


def test_every_promise_holds_for_fresh_seeds():
    """As many as SEEDS says, else for some seconds."""
    wanted = int(os.environ.get("SEEDS", "0"))
    first = int(os.environ.get("FIRST", "0")) or int(time.time()) % 100_000_000 * 10
    until = time.monotonic() + FRESH_S
    done = 0
    while done < wanted if wanted else time.monotonic() < until:
        simulate(first + done)
        done += 1
    assert done


if "SEED" in os.environ:

    def test_replay():
        simulate(int(os.environ["SEED"]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_repeats_exactly(seed):
    first, second = simulate(seed), simulate(seed)
    assert first.trace == second.trace
    assert len(first.trace) > 100


def test_the_faults_that_the_table_names_do_happen():
    faults, routes = set(), set()
    for seed in range(2 * SLICE):
        report = simulate(seed)
        faults |= set(report.faults)
        routes |= set(report.routes)
    assert {"crash before", "crash after", "unavailable", "effect done, answer lost"} <= faults
    assert {"dpi_drop", "dpi_late", "dpi_busy", "dpi_stranger", "dpi_outage"} <= faults
    assert {"smtp_drop", "smtp_deaf", "smtp_4xx", "smtp_5xx", "smtp_bounce"} <= faults
    assert {"imap_cut", "imap_renumber", "imap_gone", "two_collectors"} <= faults
    assert len(routes) == 6


@pytest.mark.parametrize("bug", PLANTED, ids=lambda each: each.name)
def test_a_planted_bug_is_found(bug):
    with bug.planted(), pytest.raises(Failed) as found:
        _run(range(FIXED))
    assert found.value.invariant.startswith(bug.found_by), found.value
