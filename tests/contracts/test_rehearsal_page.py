"""The page of `pfi rehearse` over a thousand mails: made in time, opened by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

import pytest

from infra.local.hospital import DEMO_FALLBACK, settings_of
from pfi.edge.settings import dump_settings
from pfi.journey.settings import MatchSettings
from pfi.names import Environment
from tests.data.builders import (
    ANDRE,
    EVERYBODY,
    LEA,
    MAILBOX,
    THEO,
    YANN,
    document,
    mail,
    patient_csv,
    xdm_zip,
)

ROOT = Path(__file__).parents[2]
MAILS = 1000
LIMIT_S = 60.0
"""What a person waits for, on two cores; the machine of the tests may be shared."""
_KNOWN = (LEA, YANN, THEO, ANDRE)
_OTHER_NAME = replace(THEO, birth_name="BÉNÉZARD DE L AUBÉPINÈDE")
_STRANGER = replace(LEA, body="2910775102003", birth_name="INCONNUE")


def letter(number: int) -> bytes:
    """In ten: seven known patients, a name with other separators, a stranger, no archive."""
    kind = number % 10
    patient = {7: _OTHER_NAME, 8: _STRANGER}.get(kind, _KNOWN[number % 4])
    entry = document(patient, document_id=f"2.25.55.{number}", set_id=f"2.25.56.{number}")
    house = f"labo{number % 15:02}.mssante.fr"
    return mail(
        None if kind == 9 else xdm_zip([entry]),
        sender=f"cr@{house}",
        return_path=f"cr@{house}",
        message_id=f"<{number}@{house}>",
        attachments=[("image.bin", "application/octet-stream", number.to_bytes(4, "big") * 20_000)],
    )


@dataclass(frozen=True)
class Rehearsed:
    page: Path
    found: dict[str, object]
    seconds: float


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """A thousand mails under two settings, reported as table, page and JSON."""
    folder = tmp_path_factory.mktemp("rehearsal")
    (folder / "mails").mkdir()
    for number in range(MAILS):
        (folder / "mails" / f"{number:04}.eml").write_bytes(letter(number))
    (folder / "mails" / "illisible.eml").mkdir()
    (folder / "patients.csv").write_text(patient_csv(EVERYBODY), encoding="utf-8")
    settings = settings_of(Environment.TEST, MAILBOX, DEMO_FALLBACK)
    strict = replace(settings, match=MatchSettings(separators="strict"))
    (folder / "usuel.json").write_text(dump_settings(settings))
    (folder / "strict.json").write_text(dump_settings(strict))
    return _timed(folder)


def _timed(folder: Path) -> Rehearsed:
    pfi = [sys.executable, "-m", "infra.cli.main", "rehearse"]
    words = [folder / "mails", "--patients", folder / "patients.csv", "--json"]
    words += ["--settings", folder / "usuel.json", "--against", folder / "strict.json"]
    words += ["--html", folder / "page.html"]
    began = time.monotonic()
    done = subprocess.run(
        [*pfi, *map(str, words)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return Rehearsed(folder / "page.html", json.loads(done.stdout), time.monotonic() - began)


def test_a_thousand_mails_are_rehearsed_under_two_settings_in_less_than_a_minute(rehearsed):
    assert len(rehearsed.found["lines"]) == MAILS + 1
    assert rehearsed.seconds < LIMIT_S


def test_the_figures_are_those_of_the_mails(rehearsed):
    usual, strict = rehearsed.found["versions"]
    assert (usual["integrated"], usual["work"], usual["unread"]) == (800, 1000, 1)
    assert usual["reasons"] == {"902": 100, "PFI-XDM-01": 100}
    assert strict["integrated"] == 700
    assert strict["reasons"] == {"902": 100, "904": 100, "PFI-XDM-01": 100}
    assert len(rehearsed.found["changes"]) == 100
    assert len(usual["senders"]) == 15


def test_a_browser_opens_the_page_without_a_word_on_its_console(rehearsed, tmp_path):
    dom, console = browsed(rehearsed.page, tmp_path)
    assert console == []
    text = unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", dom, flags=re.DOTALL))
    text = " ".join(text.split())
    assert "A usuel.json : 800 intégrés sur 1 000 courriels à traiter (80,0 %)" in text
    assert "B strict.json : 700 intégrés sur 1 000 courriels à traiter (70,0 %)" in text
    assert "Ce qui changerait : 100 courriel(s)" in text
    assert "labo07.mssante.fr" in text
    assert dom.count("<svg") == 4


@pytest.mark.parametrize(
    "content",
    [
        "<script>console.log('dit')</script>",
        "<script>absente()</script>",
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
        "<style>p { color: red }</style>",
    ],
)
def test_the_console_of_the_browser_would_be_heard(tmp_path, content):
    """A page that speaks, fails or breaks its own policy is noticed by the test above."""
    page = tmp_path / "page.html"
    page.write_text(f"<!DOCTYPE html>{content}<p>bonjour</p>")
    dom, console = browsed(page, tmp_path)
    assert "bonjour" in dom
    assert len(console) == 1


def browsed(page: Path, folder: Path) -> tuple[str, list[str]]:
    """The document as Chromium made it, and what its console said."""
    done = subprocess.run(
        [
            _chromium(), "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--no-first-run", f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
            "--v=0", "--dump-dom", page.as_uri(),
        ],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def _chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.fail("chromium is not installed (tests/apt-packages.txt)")
    return found
