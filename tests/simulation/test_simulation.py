"""Whole hospitals under faults: nothing lost, nothing twice, never the wrong patient (design §6).

``SEED=n pytest tests/simulation -k replay`` replays one seed; ``SEEDS=n`` runs n fresh ones with
``-k fresh``, from seed ``FIRST`` on (default: from the clock).
"""

import os
import time

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.run import Failed, simulate

FIXED = 360
"""Fixed seeds of every run of the tests: about ten thousand mails."""
SLICE = 30
FRESH_S = float(os.environ.get("FRESH_S", "20"))


@pytest.mark.parametrize("first", range(0, FIXED, SLICE))
def test_every_promise_holds_whatever_breaks(first):
    for seed in range(first, first + SLICE):
        simulate(seed)


def test_every_promise_holds_for_fresh_seeds():
    """As many as SEEDS says, else for some seconds."""
    wanted = int(os.environ.get("SEEDS", "0"))
    first = int(os.environ.get("FIRST", "0")) or int(time.time()) % 100_000_000 * 10
    until = time.monotonic() + FRESH_S
    mails = done = 0
    while done < wanted if wanted else time.monotonic() < until:
        mails += simulate(first + done).mails
        done += 1
    print(f"fresh seeds {first}…{first + done - 1}: {mails} mails")


@pytest.mark.skipif("SEED" not in os.environ, reason="replays the seed that SEED names")
def test_replay():
    report = simulate(int(os.environ["SEED"]))
    print(report.routes, report.faults)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_repeats_exactly(seed):
    first, second = simulate(seed), simulate(seed)
    assert first.trace == second.trace
    assert len(first.trace) > 100


def test_the_faults_that_the_table_names_do_happen():
    faults, routes = set(), set()
    for seed in range(60):
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
    with bug.planted():
        for seed in range(FIXED):
            try:
                simulate(seed)
            except Failed as failure:
                assert failure.invariant.startswith(bug.found_by), failure
                return
    pytest.fail(f"{bug.name} is not found by {FIXED} seeds")
