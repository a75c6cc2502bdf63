"""Rows of the network: what they compute, and what they say of a peer that is not there."""

import json
from pathlib import Path

import pytest

from pfi.hl7.mllp import END, START, framed
from tests.performance import end_to_end, mllp_peers, mllp_rows, peers
from tests.performance.end_to_end import IMAP, MESSAGEFOUNDRY, OURS, SHARES
from tests.performance.mllp_child import answer_to, control_id, pieces
from tests.performance.table import Row
from tests.unit.hl7.orders import order

CLIENTS = {
    "raw": (1.0, 1.0, 2.0),
    "raw_each": (4.0, 5.0, 4.0),
    "ours": (6.0, 5.0, 6.0),
    "python-hl7": (9.0, 9.0, 18.0),
}
SPEEDS = {
    "raw": (900.0, 900.0),
    "ours": (80.0, 60.0),
    "ours without disk": (90.0, 70.0),
    "python-hl7": (5.0, 4.0),
    "hl7lw": (1.0, 9.0),
}
SPENT = {name: (1e-3, 1e-3) for name in SPEEDS}


def row(rows: list[Row], words: str) -> Row:
    [found] = [each for each in rows if words in each.what]
    return found


def test_t7_divides_by_the_socket_that_connects_as_often_in_the_same_round() -> None:
    rows = list(mllp_rows.client_rows(300_000, CLIENTS))
    assert rows[0].target == "T7"
    assert rows[0].limit == 2
    assert rows[0].values == (1.5, 1.0, 1.5)
    assert row(rows, "ours ÷ raw socket that stays").values == (6.0, 5.0, 3.0)
    assert row(rows, "connecting anew ÷ staying").values == (4.0, 5.0, 2.0)
    assert row(rows, "python-hl7 ÷").values == (9.0, 9.0, 9.0)


def test_t7_is_gated_at_300_kb_only() -> None:
    rows = [*mllp_rows.client_rows(1_700, CLIENTS), *mllp_rows.client_rows(2_000_000, CLIENTS)]
    assert {each.target for each in rows} == {""}
    assert all(each.met for each in rows)


def test_t8_divides_by_the_peer_with_the_best_middle() -> None:
    rows = list(mllp_rows.server_rows(300_000, SPEEDS, SPENT))
    assert rows[0].target == "T8"
    assert rows[0].note.startswith("best: hl7lw")
    assert rows[0].values == (90.0, 70.0 / 9.0)
    assert rows[1].values == (80.0, 60.0 / 9.0)
    assert row(rows, "300 kB: python-hl7").median == 4.5
    assert "1,000 µs" in row(rows, "which checks and keeps").note


def test_a_server_that_fails_is_a_row_that_says_so() -> None:
    speeds = {**SPEEDS, "hl7lw": ()}
    rows = list(mllp_rows.server_rows(1_700, speeds, {**SPENT, "hl7lw": ()}))
    assert rows[0].note.startswith("best: python-hl7")
    assert "does not answer" in row(rows, "kB: hl7lw").note


def test_an_absent_peer_is_a_row_that_says_how_to_install_it() -> None:
    clients = list(mllp_rows.client_rows(300_000, CLIENTS))
    servers = list(mllp_rows.server_rows(300_000, SPEEDS, SPENT))
    for name, rows in (("node-hl7-client", clients), ("@medplum/hl7", servers)):
        found = row(rows, name)
        assert (found.verdict, found.met) == ("absent", True)
        assert found.note == f"absent: {name} is not installed (make peers)"


def test_without_any_peer_t8_and_t9_are_absent_and_not_missed() -> None:
    alone = {"raw": (900.0,), "ours": (1.0,)}
    t8 = next(iter(mllp_rows.server_rows(300_000, alone, {name: (1.0,) for name in alone})))
    t9 = next(iter(end_to_end.engine_rows({OURS: [(1.0, 1.0)], IMAP: [(1.0, 1.0)]})))
    assert [each.verdict for each in (t8, t9)] == ["absent", "absent"]
    assert "make peers" in t8.note
    assert "make peers" in t9.note


def test_t9_compares_mails_a_second_and_says_what_was_not_measured() -> None:
    costs = {
        OURS: [(0.01, 0.005), (0.02, 0.005)],
        IMAP: [(0.02, 0.01)] * 2,
        MESSAGEFOUNDRY: [(0.1, 0.05), (0.1, 0.05)],
        SHARES: [(0.0005, 0.003)] * 2,
    }
    first, ours, *_ = end_to_end.engine_rows(costs)
    assert first.target == "T9"
    assert first.values == pytest.approx((10.0, 5.0))
    assert "not the deployed stack" in first.note
    assert "CPU 10.0 ×" in first.note
    assert "collecting 10%, reading 60%" in first.note
    assert ours.values == pytest.approx((100.0, 50.0))


def test_a_folder_without_peers_has_none_of_them(tmp_path: Path) -> None:
    assert peers.node("@medplum/hl7", tmp_path) is None
    assert peers.python("messagefoundry", tmp_path) is None


def test_what_make_peers_installs_is_found(tmp_path: Path) -> None:
    package = tmp_path / "venv/lib/python3.11/site-packages/hl7lw"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "node_modules/simple-hl7").mkdir(parents=True)
    (tmp_path / "node_modules/simple-hl7/package.json").touch()
    assert peers.python("hl7lw", tmp_path) == tmp_path / "venv/bin/python"
    assert peers.node("simple-hl7", tmp_path)


def test_the_locks_of_the_peers_name_versions_and_digests_and_no_registry() -> None:
    lock = json.loads((peers.HERE / "package-lock.json").read_text())
    packages = [each for name, each in lock["packages"].items() if name]
    assert all("integrity" in each and "resolved" not in each for each in packages)
    requirements = (peers.HERE / "requirements.txt").read_text()
    assert "--hash=sha256:" in requirements
    assert "://" not in requirements


@pytest.mark.parametrize("size", [1_700, 300_000])
def test_a_message_has_its_size_and_its_pieces_are_the_message(size: int) -> None:
    message = mllp_peers.message(size)
    assert abs(len(message) - size) < 200
    assert b"".join(framed(pieces(message))) == START + message + END
    assert control_id(message).decode() == order().control_id


def test_the_raw_server_acknowledges_the_message_it_got() -> None:
    message = mllp_peers.message(1_700)
    assert b"\rMSA|AA|" + control_id(message) + b"\r" in answer_to(message)
