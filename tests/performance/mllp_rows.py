"""MLLP rows: the CPU of a client per message (T7), the round trips of a server (T8).

Peers' clients keep one connection; ours opens one for each message, so that a late answer can never
be taken for another's. T7 therefore compares it with a raw socket that does the same; the rows
beside it say what the connection costs. Peers' servers acknowledge what they parsed, and keep
nothing; the simulated DPI also checks it against the profile, and keeps it. T8 therefore compares
it without its disk; the row below says what it does with it, as in the laptop.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from tests.performance import mllp_peers, peers
from tests.performance.mllp_peers import OURS, RAW, RAW_EACH, UNKEPT, Candidate, Client, Server
from tests.performance.table import Part, Row

QUICK: Final = (1_700, 300_000)
FULL: Final = (*QUICK, 2_000_000)
GATED: Final = 300_000
_ROUNDS: Final = {False: 7, True: 11}
_STRETCH_S: Final = {False: 0.04, True: 0.1}
_OWN: Final = {
    "ours": "simulated DPI, which checks and keeps",
    "ours without disk": "simulated DPI, nothing kept",
    "raw": "raw server, which only acknowledges",
}
_NO_PEER: Final = f"absent: no peer server is installed ({peers.INSTALL})"
Costs = Mapping[str, tuple[float, ...]]
"""Per candidate, one value per round."""


def rows(full: bool) -> Iterator[Row]:
    """Clients at each size, then servers."""
    with TemporaryDirectory() as temporary:
        for size in FULL if full else QUICK:
            yield from client_rows(size, client_costs(Path(temporary), size, full=full))
        for size in FULL if full else (GATED,):
            costs = server_costs(Path(temporary), size, full=full)
            yield from server_rows(size, *costs, peer_servers(full=full))


# --- clients --------------------------------------------------------------------------------------


def client_costs(folder: Path, size: int, *, full: bool) -> Costs:
    """CPU seconds per message of each client that is there, against the raw server."""
    path = folder / f"{size}.hl7"
    path.write_bytes(mllp_peers.message(size))
    costs: dict[str, tuple[float, ...]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(Server(RAW, folder / "raw"))
        clients = {
            each.name: stack.enter_context(Client(each, path, server.port))
            for each in mllp_peers.present((RAW, RAW_EACH, OURS, *mllp_peers.CLIENTS))
        }
        for client in clients.values():
            client.warm(_STRETCH_S[full])
        for turn in range(_ROUNDS[full]):
            for name in turned(clients, turn):
                costs[name] = (*costs.get(name, ()), clients[name].exchange()[1])
    return costs


def client_rows(size: int, costs: Costs) -> Iterator[Row]:
    """T7 and what explains it, then the peers."""
    what, gated = f"MLLP client CPU, {label(size)}:", size == GATED
    yield Row(
        "T7" if gated else "",
        f"{what} ours ÷ raw socket, each connecting anew",
        2 if gated else None,
        at_most=True,
        values=ratios(costs, OURS.name, RAW_EACH.name),
        note=f"{micro(costs[OURS.name])}; the raw one {micro(costs[RAW_EACH.name])}",
    )
    yield _printed(
        f"{what} ours ÷ raw socket that stays connected", ratios(costs, OURS.name, "raw")
    )
    yield _printed(f"{what} connecting anew ÷ staying connected", ratios(costs, "raw_each", "raw"))
    for peer in mllp_peers.CLIENTS:
        yield _beside(
            peer,
            f"{what} {peer.name} ÷ raw socket, connected",
            ratios(costs, peer.name, "raw") or None,
        )


def _printed(what: str, values: tuple[float, ...]) -> Row:
    return Row("", what, None, at_most=True, values=values)


def _beside(peer: Candidate, what: str, values: tuple[float, ...] | None, unit: str = "×") -> Row:
    if values is None:
        values, note = (), peers.absent(peer.package or peer.name)
    else:
        note = "" if values else "absent: it does not answer each message of this size by its own"
    return Row("", what, None, at_most=False, values=values, unit=unit, note=note)


def turned(names: Iterable[str], turn: int) -> list[str]:
    """Another one begins each round: what comes first after a pause pays for it."""
    there = list(names)
    first = turn % len(there)
    return [*there[first:], *there[:first]]


def ratios(costs: Costs, one: str, other: str) -> tuple[float, ...]:
    """Round by round; nothing when one of the two is absent."""
    pairs = zip(costs.get(one, ()), costs.get(other, ()), strict=False)
    return tuple(mine / theirs for mine, theirs in pairs)


# --- servers --------------------------------------------------------------------------------------


def server_costs(folder: Path, size: int, *, full: bool) -> tuple[Costs, Costs]:
    """Round trips per second of each server that is there, and its CPU seconds per message; nothing
    of one that fails."""
    path = folder / f"{size}.hl7"
    path.write_bytes(mllp_peers.message(size))
    speeds: dict[str, tuple[float, ...]]
    spent: dict[str, tuple[float, ...]]
    with ExitStack() as stack:
        pairs = {
            each.name: _pair(stack, each, folder / each.name, path)
            for each in mllp_peers.present((RAW, OURS, UNKEPT, *peer_servers(full=full)))
        }
        speeds, spent = dict.fromkeys(pairs, ()), dict.fromkeys(pairs, ())
        well = [name for name in pairs if _warmed(pairs[name][1], _STRETCH_S[full])]
        for turn in range(_ROUNDS[full]):
            for name in turned(well, turn):
                wall, cpu = _round(*pairs[name])
                speeds[name] = (*speeds[name], 1 / wall)
                spent[name] = (*spent[name], cpu)
    for each in (OURS, UNKEPT):
        rmtree(folder / each.name)
    return speeds, spent


def _pair(stack: ExitStack, each: Candidate, folder: Path, path: Path) -> tuple[Server, Client]:
    server = stack.enter_context(Server(each, folder))
    return server, stack.enter_context(Client(mllp_peers.FRESH, path, server.port))


def _warmed(client: Client, seconds: float) -> bool:
    try:
        client.warm(seconds)
        client.exchange()
    except ConnectionError:
        return False
    return True


def _round(server: Server, client: Client) -> tuple[float, float]:
    before, count = server.cpu(), client.count
    wall, _ = client.exchange()
    return wall, (server.cpu() - before) / count


def peer_servers(*, full: bool) -> Sequence[Candidate]:
    """In the quick table only those that can be the best."""
    return mllp_peers.SERVERS if full else mllp_peers.QUICK_SERVERS


def server_rows(
    size: int, speeds: Costs, spent: Costs, beside: Sequence[Candidate] = mllp_peers.SERVERS
) -> Iterator[Row]:
    """T8, then each server."""
    what, gated = f"round trips/s, {label(size)}:", size == GATED
    best = best_of(speeds)
    yield Row(
        "T8" if gated else "",
        f"{what} simulated DPI that keeps nothing ÷ best peer",
        8 if gated else None,
        at_most=False,
        values=ratios(speeds, UNKEPT.name, best) if best else (),
        note=f"best: {best}, which keeps nothing and checks nothing" if best else _NO_PEER,
        wall=True,
    )
    yield Row(
        "",
        f"{what} simulated DPI as the laptop has it ÷ best peer",
        None,
        at_most=False,
        values=ratios(speeds, OURS.name, best) if best else (),
        note="every message on the disk" if best else _NO_PEER,
    )
    for server in (OURS, UNKEPT, RAW, *beside):
        row = _beside(server, f"{what} {_names(server)}", speeds.get(server.name), "/s")
        note = row.note or f"server CPU {micro(spent[server.name])} per message"
        yield Row("", row.what, None, at_most=False, values=row.values, unit="/s", note=note)


def _names(server: Candidate) -> str:
    return _OWN.get(server.name, server.name)


def best_of(speeds: Costs) -> str:
    """The peer whose median is the highest; '' without peers."""
    there = [each.name for each in mllp_peers.SERVERS if speeds.get(each.name)]
    return max(there, key=lambda name: median(speeds[name]), default="")


def label(size: int) -> str:
    """A size in words."""
    return f"{size / 1e6:.0f} MB" if size >= 1_000_000 else f"{size / 1e3:g} kB"


def micro(values: tuple[float, ...]) -> str:
    """The middle of some durations, in µs."""
    return f"{median(values) * 1e6:,.0f} µs"


PART: Final = Part("mllp", quick=True, rows=rows)
