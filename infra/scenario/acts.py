"""The acts of the scenario, in order. Each provokes its faults, says how often, and goes on.

An act waits until its fault has come about, never for the repair: repairs overlap, as in life.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from infra.local.hospital import DEMO_MAILBOX
from infra.local.pki import REVOKED_SERVER
from infra.scenario.bench import Bench
from infra.scenario.letters import Letter, Sender
from pfi.names import Event, Integration, Route

QUICK: Final = ("parse", "match")
"""Functions that are done too soon to be caught at a given line: killed at any moment."""
OUTAGE_S: Final = 4.0
TRY_S: Final = 10.0
"""A try in vain is over by then, and the ledger as before it."""
SAVED_WITHIN_S: Final = 60.0
"""A restart that loses nothing must save all; on a busy machine that takes a while."""


@dataclass(slots=True)
class Act:
    """One kind of fault: how often it came about, and the letters that met it."""

    name: str
    times: int = 0
    letters: list[Letter] = field(default_factory=list)
    remark: str = ""


Play = Callable[[Bench, Sender, Act], None]


@dataclass(frozen=True, slots=True)
class Mode:
    """One way in which the DPI answers a document, and where its mail then ends."""

    name: str
    rule: Mapping[str, Any]
    route: Route = Route.INTEGRATED


MODES: Final = (
    Mode("AR, deux fois", {"answer": "AR", "times": 2}),
    Mode("AE 906", {"answer": "AE", "err5": "906"}, Route.FORWARDED),
    Mode("AE de syntaxe", {"answer": "AE", "err3": "101"}, Route.REVIEW),
    Mode("CA au lieu de AA", {"answer": "CA", "times": 1}),
    Mode("silence", {"answer": "SILENCE", "seconds": 4, "times": 1}),
    Mode("connexion coupée, rien reçu", {"answer": "DROP", "times": 1}),
    Mode("coupée à chaque fois", {"answer": "DROP"}, Route.REVIEW),
    Mode("coupée, message accepté", {"answer": "ACCEPT_THEN_DROP", "times": 1}),
    Mode("en retard", {"answer": "LATE", "seconds": 0.5, "times": 1}),
    Mode("trop en retard", {"answer": "LATE", "seconds": 4, "times": 1}),
    Mode("réponse d'un autre", {"answer": "WRONG_ID", "accept": True, "times": 1}),
    Mode("octets sans HL7", {"answer": "GARBAGE", "times": 1}),
)


def push_killed(bench: Bench, sender: Sender, act: Act) -> None:
    """While the DPI has the message: once accepted and once not."""
    first, second = _sent(bench, act, sender.letters(2))
    dpi = bench.laptop.dpi
    rules = [
        {"document": first.documents[0].document, "answer": "LATE", "seconds": 6, "times": 1},
        {"document": second.documents[0].document, "answer": "SILENCE", "seconds": 6, "times": 1},
    ]
    dpi.play(rules)
    before = len(dpi.exchanges)
    bench.until(lambda: len(dpi.exchanges) >= before + len(rules))
    act.times = bench.kill("push")
    dpi.play([])


def collect_killed(bench: Bench, sender: Sender, act: Act) -> None:
    """Between two mails of one poll: some are committed, the others are not."""
    with bench.slow_operator(0.15):
        letters = _sent(bench, act, sender.mixed(5))
        bench.until(lambda: bench.collected(letters) > 0)
        left = bench.in_inbox()
        act.times = bench.kill("collect") if left else 0
    act.remark = f"{left} encore dans la boîte"


def forward_killed(bench: Bench, sender: Sender, act: Act) -> None:
    """While the relay is taking a mail: nobody knows whether it did."""
    with bench.slow_operator(0.25):
        letters = _sent(bench, act, sender.strangers(2))
        bench.until(lambda: any(map(bench.on_the_way, letters)))
        act.times = bench.kill("forward")


def killed_anywhere(bench: Bench, sender: Sender, act: Act) -> None:
    """Whatever the function is doing, reading and matching included."""
    letters = _sent(bench, act, sender.mixed(4))
    bench.until(lambda: bench.collected(letters) > 0)
    for _ in range(3):
        act.times += bench.kill(sender.random.choice(QUICK))
        time.sleep(sender.random.uniform(0.1, 0.4))


def emulator_restarted(bench: Bench, sender: Sender, act: Act) -> None:
    """Every function dies at once; ledger, store and queues come back as they were."""
    letters = _sent(bench, act, sender.mixed(8))
    bench.until(lambda: bench.collected(letters) >= 2)
    under_way = sum(not bench.ended([each]) for each in letters)
    bench.laptop.emulator.stop(SAVED_WITHIN_S)
    bench.laptop.emulator.start()
    act.times = 1
    act.remark = f"{under_way} en cours à l'arrêt"


def dpi_modes(bench: Bench, sender: Sender, act: Act) -> None:
    """Every answer that a DPI may give, at the same time."""
    modes = sender.random.sample(MODES, len(MODES))
    letters = [sender.letter(mode.route) for mode in modes]
    rules = [
        {**mode.rule, "document": letter.documents[0].document}
        for mode, letter in zip(modes, letters, strict=True)
    ]
    bench.laptop.dpi.play(rules)
    bench.scripted += _sent(bench, act, letters)
    act.times = len(modes)


def operator_cuts(bench: Bench, sender: Sender, act: Act) -> None:
    """In the middle of a literal; after a MOVE was carried out; and too many connections."""
    faults = bench.laptop.operator.faults
    faults.cut_fetch_after = 1500
    _sent(bench, act, [sender.letter()])
    act.times += bench.until(lambda: faults.cut_fetch_after is None)
    faults.cut_before_ok = "MOVE"
    _sent(bench, act, [sender.letter()])
    act.times += bench.until(lambda: not faults.cut_before_ok)
    faults.limited = 2
    _sent(bench, act, [sender.letter()])
    act.times += 2 * bench.until(lambda: faults.limited == 0)


def mailbox_renumbered(bench: Bench, sender: Sender, act: Act) -> None:
    """UIDVALIDITY changes while a poll is under way: every number now means another mail."""
    with bench.slow_operator(0.1):
        letters = _sent(bench, act, sender.mixed(3))
        bench.until(lambda: bench.collected(letters) > 0)
        act.remark = f"{bench.in_inbox()} dans la boîte"
        bench.laptop.operator.store.renumber(DEMO_MAILBOX)
    act.times = 1


def relay_fails(bench: Bench, sender: Sender, act: Act) -> None:
    """Recipients refused for now, and mails taken whose 250 is lost: forwards and answers alike."""
    faults = bench.laptop.operator.faults
    faults.smtp_temporary, faults.drop_after_delivery = 1, 3
    _sent(bench, act, sender.strangers(3))
    bench.until(lambda: not faults.smtp_temporary and not faults.drop_after_delivery)
    act.times = 4 - faults.smtp_temporary - faults.drop_after_delivery


def operator_down(bench: Bench, sender: Sender, act: Act) -> None:
    """Neither IMAP nor SMTP answers, and mails arrive meanwhile."""
    operator = bench.laptop.operator
    operator.go_down()
    _sent(bench, act, sender.mixed(3))
    time.sleep(2)
    operator.start()
    act.times = 1


def dpi_outage(waiting: int) -> Play:
    """With so many mails waiting."""
    return partial(_dpi_outage, waiting)


def _dpi_outage(waiting: int, bench: Bench, sender: Sender, act: Act) -> None:
    """The port is closed while tens of mails arrive; then a revoked certificate; then all is well.

    Until the DPI is itself again nothing may be consumed.
    """
    dpi = bench.laptop.dpi
    bench.until(lambda: bench.ended(bench.scripted), 90)
    dpi.stop()
    for wave in _waves(sender, waiting):
        letters = _sent(bench, act, wave)
        bench.until(partial(bench.decided, letters), 90)
    time.sleep(OUTAGE_S)
    dpi.present(bench.laptop.pki.server_context(REVOKED_SERVER))
    dpi.start()
    refused = bench.until(lambda: dpi.broken_off >= 2)
    kept = sum(bench.until(partial(_untouched, bench, each), TRY_S) for each in act.letters)
    act.times = 1 + refused
    act.remark = f"{kept}/{len(act.letters)} intacts pendant la panne"
    dpi.stop()
    dpi.present(bench.laptop.pki.server_context())
    dpi.most_at_once = 0
    dpi.start()


def _waves(sender: Sender, waiting: int) -> Iterator[Sequence[Letter]]:
    """All versions of one document are delivered one after the other, others around them."""
    chains = [sender.versions() for _ in range(max(1, waiting // 6))]
    rest = sender.letters(waiting - 3 * len(chains))
    for number in range(3):
        wave = [*(chain[number] for chain in chains), *rest[number::3]]
        yield sender.random.sample(wave, len(wave))


def _untouched(bench: Bench, letter: Letter) -> bool:
    """Decided, still to be sent, and never sent: between two tries, since the ledger says `sent`
    for as long as one lasts. What was consumed never comes back to that."""
    found = bench.documents(letter)
    return bool(found) and all(
        each.integration is Integration.WAITING and each.sends == 0 for each in found
    )


def _sent(bench: Bench, act: Act, letters: Sequence[Letter]) -> list[Letter]:
    act.letters.extend(letters)
    bench.deliver(letters)
    return list(letters)


ACTS: Final[tuple[tuple[str, Play], ...]] = (
    ("fonction push tuée en plein échange avec le DPI", push_killed),
    ("fonction forward tuée en plein envoi", forward_killed),
    ("fonctions parse et match tuées", killed_anywhere),
    ("fonction collect tuée au milieu d'un relevé", collect_killed),
    ("émulateur arrêté et relancé en plein travail", emulator_restarted),
    ("réponses du DPI : AR, AE, silence, coupure, retard…", dpi_modes),
    ("IMAP coupé au milieu d'un courriel, après MOVE, limité", operator_cuts),
    ("UIDVALIDITY renumérotée pendant un relevé", mailbox_renumbered),
    ("SMTP : refus passager, réponse 250 perdue", relay_fails),
    ("opérateur arrêté", operator_down),
)
OUTAGE: Final = "DPI : port fermé, puis certificat révoqué"
EVENTS_IN_ORDER: Final = tuple(event.value for event in Event)
