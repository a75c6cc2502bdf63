"""docs/reference/reliability.md: what the fixed seeds met and what became of their mails."""

from collections import Counter
from pathlib import Path

from tests.simulation.planted import PLANTED
from tests.simulation.run import Failed, Report
from tests.simulation.weather import Fate

FIXED = 360
"""Fixed seeds of every run of the tests: about ten thousand mails."""
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "reliability.md"
MEANING = {
    "unavailable": "a port answers with an error, nothing happened",
    "effect done, answer lost": "a port did it and its answer is lost",
    "crash before": "the function dies before a port call",
    "crash after": "the function dies after a port call had its effect",
    "stall": "a port call takes up to a minute and a half",
    "function timed out": "the function is stopped at its time limit",
    "throttle": "a service refuses everybody for some seconds",
    "ghost": "a queue message or event is delivered twice, up to an hour later",
    "undeleted": "a finished message is not deleted and comes again",
    "slow_poll": "messages wait and are received together",
    "batch comes back after its visibility": "a message of a dead function comes again",
    "part of a batch failed": "some messages of a batch fail, the others are done",
    "late_event": "the event of a new mail comes minutes late",
    "imap_cut": "the IMAP session is cut, in the middle of a literal too",
    "imap_half_move": "a mail is copied to its folder and not yet expunged",
    "imap_renumber": "UIDVALIDITY changes, every UID is new",
    "imap_gone": "somebody takes a mail away",
    "two_collectors": "two collectors start at once",
    "lease_lost": "a collector loses its lease while it works",
    "stale_read": "a read of the patient base gives what was there before",
    "dpi_drop": "the DPI accepts and its ACK is lost",
    "dpi_deaf": "the DPI never answers and integrates nothing",
    "dpi_late": "the DPI integrates after the time-out",
    "dpi_busy": "the DPI answers AR",
    "dpi_stranger": "the DPI answers something that is no application ACK",
    "dpi_misconfigured": "the certificate of the DPI is refused",
    "dpi_outage": "the DPI is away, for up to two hours",
    "dpi_restart": "the DPI restarts, exchanges under way are cut",
    "smtp_drop": "the relay takes the mail and its 250 is lost",
    "smtp_deaf": "the relay answers nothing and takes nothing",
    "smtp_4xx": "the relay asks to come back",
    "smtp_5xx": "the relay refuses",
    "smtp_bounce": "a mail of ours comes back as undeliverable",
}
_LOST = ("mail lost", "mail neither", "nobody carries", "mail left", "message left", "no route")
_WRONG = ("wrong patient", "wrong document", "MDM of a mail")
_PER_CALL = (*(f.value for f in Fate if f not in (Fate.FINE, Fate.PAUSE)), "throttle")


class Sums:
    """Results of many seeds, added up."""

    def __init__(self) -> None:
        self.figures: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.routes: Counter[str] = Counter()
        self.met: Counter[tuple[str, str]] = Counter()
        self.broken: list[str] = []

    @property
    def failed(self) -> int:
        return len(self.broken)

    def add(self, result: Report | Failed) -> None:
        """One more seed."""
        self.figures["seeds"] += 1
        if isinstance(result, Failed):
            self.broken.append(result.invariant)
            return
        for name in ("mails", "documents", "calls", "unknown", "overtaken"):
            self.figures[name] += getattr(result, name)
        self.figures[_duplicates(result)] += result.accepted_twice
        self.routes += Counter({str(route): n for route, n in result.routes.items()})
        self.faults += result.faults
        self.met += result.met

    def broken_by(self, invariants: tuple[str, ...]) -> int:
        """Seeds that broke one of these promises."""
        return sum(each.startswith(invariants) for each in self.broken)

    def lines(self) -> list[tuple[str, int]]:
        """Everything, for the console."""
        routes = [(f"route {name}", number) for name, number in self.routes.items()]
        faults = [(f"fault {name}", number) for name, number in self.faults.items()]
        return [*self.figures.items(), *sorted(routes), *sorted(faults)]


def _duplicates(result: Report) -> str:
    if not result.resends:
        return "accepted twice, resend_on_unknown = 0"
    return "accepted twice, knows MSH-10" if result.recognises else "accepted twice, forgets MSH-10"


def page(sums: Sums) -> str:
    """The whole page."""
    return "\n".join((*_head(), *_promises(sums), *_faults(sums), *_calls(sums), *_bugs(), ""))


def write(sums: Sums) -> None:
    """Write the page."""
    PAGE.write_text(page(sums), encoding="utf-8")


def _head() -> tuple[str, ...]:
    return (
        "# Reliability",
        "",
        "Written by `make simulate REPORT=1`: whole hospitals in virtual time, the real steps, and",
        f"faults at every port call (`tests/simulation`), seeds 0 to {FIXED - 1}. Each seed draws",
        "its own mixture; one of eight has no fault, and there every mail must end as",
        "`pfi explain` says. What must hold is checked at each write, message, exchange and mail.",
        "",
        "`make simulate SEEDS=35000 WORKERS=2` runs a million journeys (about an hour and a half);",
        "`SEED=n pytest tests/simulation -k replay` replays a seed.",
        "",
    )


def _promises(sums: Sums) -> tuple[str, ...]:
    figures, rows = sums.figures, []
    for text, number in (
        ("journeys (mails)", figures["mails"]),
        ("documents accepted by the DPI", figures["documents"]),
        ("port calls", figures["calls"]),
        ("faults", sum(sums.faults.values())),
        ("mails lost", sums.broken_by(_LOST)),
        ("wrong patients", sums.broken_by(_WRONG)),
        ("other promises broken", sums.failed - sums.broken_by(_LOST + _WRONG)),
        ("documents of unknown outcome, each in review", figures["unknown"]),
        ("duplicates at a DPI that recognises MSH-10", figures["accepted twice, knows MSH-10"]),
        (
            "duplicates with `resend_on_unknown: 0`",
            figures["accepted twice, resend_on_unknown = 0"],
        ),
        (
            "duplicates at a DPI that lost its own ACK and does not recognise MSH-10",
            figures["accepted twice, forgets MSH-10"],
        ),
    ):
        rows.append(f"| {text} | {number} |")
    routes = [f"| ended as `{name}` | {n} |" for name, n in sorted(sums.routes.items())]
    return ("| What | Number |", "|---|---|", *rows, *routes, "")


def _faults(sums: Sums) -> tuple[str, ...]:
    rows = [f"| {name} | {text} | {sums.faults[name]} |" for name, text in MEANING.items()]
    return ("## Faults", "", "| Kind | What happens | Times |", "|---|---|---|", *rows, "")


def _calls(sums: Sums) -> tuple[str, ...]:
    names = sorted({call for _, call in sums.met})
    rows = [
        f"| `{name}` | " + " | ".join(str(sums.met[kind, name]) for kind in _PER_CALL) + " |"
        for name in names
    ]
    head = "| Port call | " + " | ".join(_PER_CALL) + " |"
    return ("## Faults by port call", "", head, "|---" * (1 + len(_PER_CALL)) + "|", *rows, "")


def _bugs() -> tuple[str, ...]:
    rows = [f"| {each.name.replace('_', ' ')} | {each.found_by[0]} |" for each in PLANTED]
    return (
        "## Planted bugs",
        "",
        "Changes of the product that break a promise, made on purpose. The fixed seeds find each",
        "(`test_a_planted_bug_is_found`).",
        "",
        "| Bug | Found by, for example |",
        "|---|---|",
        *rows,
    )
