"""The path of a document, from the bytes of its mail to its message, against the floor.

T1, T2, the growth with size of T3, the header of T13, and the message and answer of T5 and T6.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Final

from tests.performance import corpus
from tests.performance.bench import OURS, Bench, Values, able, absent, in_turn, lacking, ratios
from tests.performance.corpus import Specimen
from tests.performance.product import CONTROL_ID
from tests.performance.table import Part, Row

_QUICK: Final = (corpus.L3_50K, corpus.L1_300K, corpus.L1_2M)
_FULL: Final = corpus.EVERYTHING[1:]
_GATED: Final = frozenset({corpus.L3_50K, corpus.L1_300K, corpus.L1_2M})
_STEPS: Final = ("mime", "digests", "archive", "metadata", "header", "message")
_FLOOR_STEPS: Final = ("mime", "archive", "header", "message")
_PEERS: Final = {"common": "python-hl7", "hl7apy": "hl7apy"}
_SLICE: Final = 0.06
"""Seconds that a candidate runs in a round."""
ACK: Final = (
    "MSH|^~\\&|DPI|CH|PFI|CH|20260514113001||ACK^T02^ACK|4711|P|2.6\r"
    f"MSA|AE|{CONTROL_ID}\rERR|||207^Application internal error^HL70357|E|902^Identité^PFI\r"
).encode()
_EVERYBODY: Final = ("floor", "product", "stdlib", *_PEERS)
_LARGE: Final = 10_000_000
"""Mails with more noise are measured in fewer rounds: a single call is long enough."""
Seen = dict[tuple[str, str], Values]


def rows(full: bool) -> Iterator[Row]:
    """Every row of the document path."""
    specimens = _FULL if full else _QUICK
    with Bench(specimens) as bench:
        bench.keep("ack", ACK)
        agree(bench, specimens)
        yield from _paths(bench, specimens, rounds=15 if full else 11)
        yield from _header(bench)
        yield from _against(bench, "mdm", corpus.L1_300K.name, "T5 MDM build at 300 kB", (10, 300))
        yield from _against(bench, "ack", "ack", "T6 reading an ACK", (20, 800))


def agree(bench: Bench, specimens: Sequence[Specimen]) -> None:
    """Same traits, same document, same message, else nothing is timed.

    hl7apy cannot write the participants: of its message the document counts alone.
    """
    for name in specimens:
        expected = bench.worker("floor").result(name.name)
        for other in able(*_EVERYBODY):
            traits, message, document = bench.worker(other).result(name.name)
            told = [traits, expected[1] if other == "hl7apy" else message, document]
            if told != expected:
                raise RuntimeError(f"{other} does not read {name.name} as the floor does")


# --- the whole path ---------------------------------------------------------------------------


def _paths(bench: Bench, specimens: Sequence[Specimen], rounds: int) -> Iterator[Row]:
    large = [each for each in specimens if each.noise > _LARGE]
    small = [each for each in specimens if each not in large]
    ours, peers = able("floor", *OURS), able("floor", *_PEERS)
    seen = _path_times(bench, small, ours, rounds)
    slowly = _path_times(bench, small, peers, 3)
    for each in large:
        seen |= _path_times(bench, [each], ours, 5)
        slowly |= _path_times(bench, [each], peers, 3)
    for each in specimens:
        yield from _path_rows(bench, each, seen, slowly)
    two, third = ("product", corpus.L1_2M.name), ("product", corpus.L1_300K.name)
    if two in seen:
        grown = ratios(seen[two], seen[third])
        yield Row("T3", "path: CPU of 2 MB ÷ CPU of 300 kB", 7, True, grown)


def _path_times(
    bench: Bench, specimens: Sequence[Specimen], names: Sequence[str], rounds: int
) -> Seen:
    return in_turn(
        rounds,
        {
            (name, each.name): partial(bench.worker(name).ms, "path", each.name, _SLICE)
            for each in specimens
            for name in names
        },
    )


def _path_rows(bench: Bench, each: Specimen, seen: Seen, slowly: Seen) -> Iterator[Row]:
    gated, floor = each in _GATED, seen["floor", each.name]
    yield Row("", f"floor, {each.name}", None, True, floor, "ms")
    if ("product", each.name) in seen:
        yield from _own_rows(bench, each, seen["product", each.name], floor)
    else:
        yield absent("T1", f"path ÷ floor, {each.name}", 1.5, lacking("product"))
    found = ratios(seen["stdlib", each.name], floor)
    what = f"path with the standard library only ÷ floor, {each.name}"
    yield Row("T2" if gated else "", what, 3.7 if gated else None, True, found)
    for peer, named in (("common", "policy.default, zipfile, python-hl7"), ("hl7apy", "hl7apy")):
        what = f"path by {named} ÷ floor, {each.name}"
        if (peer, each.name) in slowly:
            found = ratios(slowly[peer, each.name], slowly["floor", each.name])
            yield Row("", what, None, True, found)
        else:
            yield absent("", what, None, lacking(peer))


def _own_rows(bench: Bench, each: Specimen, own: Values, floor: Values) -> Iterator[Row]:
    """Against the floor, with the profile; then as if the floor made the digests as well."""
    gated = each in _GATED
    steps = in_turn(
        3,
        {
            (name, step): partial(bench.worker(name).ms, f"step {step}", each.name, 0.02)
            for name in ("product", "floor")
            for step in _STEPS
            if name == "product" or step in _FLOOR_STEPS
        },
    )
    spent = {key: median(values) for key, values in steps.items()}
    what, found = f"path ÷ floor, {each.name}", ratios(own, floor)
    note = _profile(spent, median(own), median(floor))
    yield Row("T1" if gated else "", what, 1.5 if gated else None, True, found, note=note)
    checked = tuple(each + spent["product", "digests"] for each in floor)
    yield Row("", f"path ÷ (floor + digests), {each.name}", None, True, ratios(own, checked))


def _profile(spent: Mapping[tuple[str, str], float], own: float, floor: float) -> str:
    """Where the product's time goes, step by step, in parts of the floor's whole."""
    rest = own - sum(spent["product", step] for step in _STEPS)
    told = [
        f"{step} {spent['product', step] / floor:.2f}"
        + (f" ({spent['floor', step] / floor:.2f})" if step in _FLOOR_STEPS else "")
        for step in _STEPS
    ]
    return "of it (of the floor): " + ", ".join([*told, f"rest {max(rest, 0) / floor:.2f}"])


# --- its ends -----------------------------------------------------------------------------------


def _header(bench: Bench) -> Iterator[Row]:
    """Ours also sees a fault behind the header: that part follows the size."""
    small, large = "300k_l1.xml", "20M_l1.xml"
    bench.keep(small, corpus.L1_300K.document)
    bench.keep(large, corpus.L1_20M.document)
    own, what = able(*OURS)[0], "header of a document of 20 MB ÷ of 300 kB"
    measures = {
        (name, file): partial(bench.worker(name).ms, "header", file, _SLICE)
        for name in (own, "floor")
        for file in (small, large)
    }
    seen = in_turn(7, measures)
    found, alone = (ratios(seen[name, large], seen[name, small]) for name in (own, "floor"))
    note = "with the check that the whole document is well formed"
    yield Row("T13", what, 1.3, True, found, note=note)
    yield Row("", f"{what}, nothing behind it looked at", None, True, alone)
    took = seen[own, large]
    yield Row("", "header of a document of 20 MB, ours", None, True, took, "ms")


def _against(
    bench: Bench, job: str, file: str, title: str, limits: tuple[float, float]
) -> Iterator[Row]:
    """How many times dearer the peers are; what they need is the same for the whole table."""
    target, _, what = title.partition(" ")
    own = able(*OURS)[0]
    names = [own, *(peer for peer in _PEERS if not lacking(peer))]
    seen = in_turn(9, {name: partial(bench.worker(name).ms, job, file, 0.03) for name in names})
    yield Row("", f"{what}, ours", None, True, tuple(1000 * ms for ms in seen[own]), "µs")
    for (peer, named), limit in zip(_PEERS.items(), limits, strict=True):
        if peer in seen:
            found = ratios(seen[peer], seen[own])
            yield Row(target, f"{what}, {named} ÷ ours", limit, False, found)
        else:
            yield absent(target, f"{what}, {named} ÷ ours", limit, lacking(peer), at_most=False)


PART: Final = Part("documents", quick=True, rows=rows)
