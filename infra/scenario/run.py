"""The whole scenario: start, acts, patience, account."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from infra.local.hospital import DEMO_ESTABLISHMENT, DEMO_FALLBACK, DEMO_MAILBOX, settings_of
from infra.local.laptop import CONTEXT, Laptop, Times
from infra.operations.account import Account as AwsAccount
from infra.operations.account import installed_stack
from infra.operations.proof import Proof, proof_of
from infra.scenario.account import Account, account
from infra.scenario.acts import ACTS, OUTAGE, Act, dpi_outage
from infra.scenario.bench import Bench
from infra.scenario.letters import KNOWN, Sender
from pfi.names import Environment

TIMES: Final = Times(operator=3, run_budget=5, ack=3, hold=600)
"""Short where a fault is waited for; a hold that no outage of the scenario reaches."""
PATIENCE_S: Final = 240.0
WAITING: Final = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was played, what became of it, and the proof that the product itself gives."""

    acts: tuple[Act, ...]
    account: Account
    proof: Proof
    drain_s: float
    """From the return of the DPI until everything was at rest."""

    def faults(self) -> tuple[str, ...]:
        """Why the scenario failed; nothing when it did not."""
        missing = [f"faute non produite : {act.name}" for act in self.acts if not act.times]
        open_ = [] if self.proof.closes else list(self.proof.sentences())
        return (*missing, *self.account.faults(), *open_)


def run(
    folder: Path, seed: int, progress: Callable[[str], None], waiting: int = WAITING
) -> Outcome:
    """Start a laptop of its own in `folder`, play every act, account for every mail."""
    settings = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK)
    with Laptop(folder, settings, progress, times=TIMES) as laptop:
        laptop.load_patients(DEMO_ESTABLISHMENT, tuple(each.record for each in KNOWN))
        with Bench(laptop) as bench:
            acts = _played(bench, Sender(seed), progress, waiting)
            progress("Attente de la fin de chaque courriel…")
            began = time.monotonic()
            left = _left_at_the_end(bench)
            found = account(bench, left)
            return Outcome(acts, found, _proof(laptop), time.monotonic() - began)


def _played(
    bench: Bench, sender: Sender, progress: Callable[[str], None], waiting: int
) -> tuple[Act, ...]:
    acts = []
    for name, play in (*ACTS, (OUTAGE, dpi_outage(waiting))):
        progress(name)
        act = Act(name)
        play(bench, sender, act)
        acts.append(act)
    return tuple(acts)


def _left_at_the_end(bench: Bench) -> int:
    """Mails and messages still waiting when all should be at rest."""
    rest = lambda: bench.ended(bench.sent) and not bench.queued() + bench.in_inbox()  # noqa: E731
    return 0 if bench.until(rest, PATIENCE_S) else bench.queued() + bench.in_inbox()


def _proof(laptop: Laptop) -> Proof:
    """All is at rest: nothing is excused as being under way."""
    with AwsAccount(laptop.environment) as aws:
        stack = installed_stack(aws, CONTEXT["name"])
        return proof_of(stack, grace=timedelta(0), dpi_inbox=laptop.dpi.folder, pause_s=1)
