"""`pfi rehearse` over a folder: the figures, the difference, what cannot be read, no traits."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cli.main import main
from infra.local.demo import SCENES
from infra.local.hospital import DEMO_FALLBACK, DEMO_MAILBOX, settings_of
from infra.rehearsal.sources import Folder, Sample
from infra.rehearsal.trial import Trial
from pfi.adapters.csv_patients import ListedPatients
from pfi.edge.settings import dump_settings
from pfi.errors import Unavailable
from pfi.journey.settings import DpiSettings, MatchSettings
from pfi.names import Environment, Reason
from tests.data.builders import EVERYBODY, LEA, SAMIR, THEO, document, mail, patient_csv, xdm_zip

ROOT = Path(__file__).parents[3]
DEMO = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK)
PATIENTS = [replace(each, status="PROV") if each is SAMIR else each for each in EVERYBODY]


@pytest.fixture
def place(tmp_path):
    """The mails of the demonstration, its patients, two settings files."""
    (tmp_path / "mails").mkdir()
    for scene in SCENES:
        (tmp_path / "mails" / f"{scene.name}.eml").write_bytes(scene.build(scene.name))
    (tmp_path / "patients.csv").write_text(patient_csv(PATIENTS), encoding="utf-8")
    (tmp_path / "a.json").write_text(dump_settings(DEMO))
    by_dpi = replace(DEMO, match=MatchSettings(who="dpi"))
    (tmp_path / "b.json").write_text(dump_settings(by_dpi))
    return tmp_path


@pytest.fixture
def rehearse(place, capsys):
    """Runs the command; what it printed."""

    def run(*words):
        patients = str(place / "patients.csv")
        assert main(["rehearse", str(place / "mails"), "--patients", patients, *words]) == 0
        return capsys.readouterr().out

    return run


def test_the_demonstration_ends_as_it_would_on_the_stack(rehearse):
    found = json.loads(rehearse("--json", "--names"))
    routes = {each["mail"]: each["versions"][0] for each in found["lines"]}
    for scene in SCENES:
        if scene.name != "12_refuse_par_le_dpi":  # there the DPI decides: AA is assumed
            route, _, reason, mdn = scene.expected.split()
            line = routes[f"{scene.name}.eml"]
            wanted = (route, None if reason == "-" else reason, mdn)
            assert (line["route"], line["reason"], line["mdn"]) == wanted
    [version] = found["versions"]
    assert (version["work"], version["integrated"]) == (15, 6)
    assert version["dpis"] == {"dpi": {"T02": 5, "T10": 1, "T04": 1}}
    assert version["senders"]["labo-demo.mssante.test"]["mails"] == 16
    assert version["usd_per_month"] > 100


def test_the_table_says_the_same_in_french(rehearse):
    found = [" ".join(line.split()) for line in rehearse().splitlines()]
    assert "Répétition : rien n'a été envoyé, déplacé ni écrit." in found
    assert "paramètres par défaut : 6 intégrés sur 15 courriels à traiter (40,0 %)" in found
    assert "transmis à la messagerie de repli 9 52,9 %" in found
    assert "dpi 5 1 1" in found
    assert "labo-demo.mssante.test 902 16 40,0 %" in found
    assert any(line.startswith("total ") for line in found)


def test_two_settings_are_compared_mail_by_mail(rehearse, place):
    words = ("--settings", str(place / "a.json"), "--against", str(place / "b.json"))
    found = json.loads(rehearse(*words, "--json", "--names"))
    by_rank = {each["rank"]: each for each in found["lines"]}
    changed = {by_rank[rank]["mail"]: by_rank[rank]["versions"] for rank in found["changes"]}
    assert set(changed) == {
        "06_patient_inconnu.eml", "08_trait_different.eml", "10_base_non_qualifiee.eml",
    }  # fmt: skip
    before, after = changed["08_trait_different.eml"]
    assert (before["route"], before["reason"]) == ("forwarded", "904")
    assert (after["route"], after["reason"]) == ("integrated", None)
    table = rehearse(*words)
    assert "Ce qui changerait : 3 courriel(s)" in table
    assert "intégré T02 (dpi), MDN processed" in table


def test_a_hospital_file_is_settings_too(rehearse, place):
    path = ROOT / "infra" / "operations" / "example" / "hospital.toml"
    found = json.loads(rehearse("--settings", str(path), "--json"))
    assert [each["settings"] for each in found["versions"]] == ["hospital.toml"]


def test_no_trait_name_address_or_file_name_is_in_any_output(rehearse, place):
    (place / "mails" / "CR de PATIENT Fictif 01011980.eml").write_bytes(b"")
    (place / "mails" / "CR de PATIENT Fictif 02021980.eml").mkdir()  # illegible
    page = place / "page.html"
    shown = rehearse("--html", str(page)) + rehearse("--json") + page.read_text(encoding="utf-8")
    for person in PATIENTS:
        words = (person.birth_name, person.matricule, person.birth_date, person.ipp)
        assert not [word for word in words if word and word in shown]
    assert "@" not in shown.replace("@media", "")
    assert ".eml" not in shown
    assert "Fictif" not in shown
    assert "Courriels illisibles" in shown


def test_the_page_is_one_file_that_asks_for_nothing(rehearse, place):
    page = place / "page.html"
    rehearse("--html", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    for word in ("<script", "http://", "https://", "href", "url(", "@import", "src=", "<!--"):
        assert word not in text
    assert "6 intégrés sur 15" in text


def test_what_mails_bring_is_text_on_the_page(place, rehearse):
    (place / "mails" / "<script>alert(1)<&.eml").mkdir()
    rehearse("--names", "--html", str(place / "page.html"))
    text = (place / "page.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;&amp;.eml" in text
    assert "<script" not in text


def test_a_file_that_cannot_be_read_is_a_line_and_the_next_one_follows(place, rehearse):
    (place / "mails" / "05_bis.eml").mkdir()
    found = json.loads(rehearse("--json", "--names"))
    lines = {each["mail"]: each["versions"][0] for each in found["lines"]}
    assert lines["05_bis.eml"]["route"] == "unread"
    assert lines["05_bis.eml"]["fault"] == "fichier illisible (IsADirectoryError)"
    assert len(found["lines"]) == 18
    assert found["versions"][0]["integrated"] == 6
    assert "Courriels illisibles" in rehearse()


class Broken:
    """A patient base that fails for one patient in every way."""

    def __init__(self, fault):
        self.fault = fault
        self.known = ListedPatients([each.record for each in PATIENTS])

    def find(self, establishment, matricule, oid):
        if matricule == LEA.matricule:
            raise self.fault
        return self.known.find(establishment, matricule, oid)

    def get(self, establishment, ipp):
        return self.known.get(establishment, ipp)

    def twins(self, establishment, traits):
        return self.known.twins(establishment, traits)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Unavailable(Reason.STORE_UNAVAILABLE), "PFI-EDGE-04"),
        (ZeroDivisionError("ARTIGUELOUVE"), "PFI-EDGE-09"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "ARTIGUELOUVE"), "PFI-EDGE-09"),
        (RecursionError(), "PFI-EDGE-09"),
    ],
)
def test_a_mail_that_breaks_something_is_a_line_and_the_next_one_follows(fault, reason):
    trial = Trial("a", DEMO, Broken(fault), DEMO_MAILBOX)
    for number, patient in enumerate((LEA, THEO)):
        raw = mail(xdm_zip([document(patient, document_id=f"2.25.{number}")]), mdn=False,
                   message_id=f"<{number}@labo-invente.mssante.fr>")  # fmt: skip
        trial.take(Sample(f"{number}.eml", raw))
    broken, good = trial.lines
    assert (broken.route, broken.reason) == ("unread", reason)
    assert "ARTIGUELOUVE" not in repr(broken)
    assert good.route == "integrated"


def test_each_mail_goes_to_the_mailbox_of_its_source_else_of_its_recipient_else_the_first():
    [usual] = DEMO.mailboxes
    other = replace(usual, id="autre", address="autre@ch-demo.mssante.test", dpi="deux")
    second = DpiSettings(id="deux", host="x", port=1, sending_facility="X", receiving_facility="X")
    settings = replace(DEMO, mailboxes=(usual, other), dpis=(*DEMO.dpis, second))
    trial = Trial("a", settings, ListedPatients(()))
    raw = mail(None, recipient="AUTRE@ch-demo.mssante.test")
    trial.take(Sample("1", raw, "reception"))
    trial.take(Sample("2", raw + b" "))
    trial.take(Sample("3", mail(None, recipient="qui@ailleurs.example")))
    trial.take(Sample("4", raw + b"  ", "inconnue"))
    found = [(each.mailbox, each.assumed) for each in trial.lines]
    assert found == [("reception", False), ("autre", False), ("reception", True), ("autre", False)]


def test_files_are_read_in_the_order_of_their_paths_below_the_folder(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/1.EML", "a.eml", "c.eml", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    names = [each.name for each in Folder(tmp_path).samples()]
    assert names == ["a.eml", "b/1.EML", "c.eml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--patients", "p.csv"], "un dossier de courriels"),
        (["mails"], "--patients"),
        (["mails", "--imap", "--patients", "p.csv"], "pas les deux"),
        (["mails", "--from", "2026-05-01", "--patients", "p.csv"], "--from"),
        (["--imap", "--patients", "p.csv"], "--imap demande"),
        (["nulle-part", "--patients", "p.csv"], "pas un dossier"),
        (["mails", "--patients", "p.csv", "--html", "nulle/part.html"], "introuvable"),
        (["mails", "--patients", "absent.csv"], "introuvable"),
        (["mails", "--patients", "patients.csv", "--settings", "absent.json"], "introuvable"),
        (["mails", "--patients", "patients.csv", "--settings", "empty.json"], "aucune boîte"),
        (["mails", "--patients", "patients.csv", "--settings", "odd.json"], "refusés"),
        (["vide", "--patients", "patients.csv"], "aucun courriel"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(place, capsys, monkeypatch, words, said):
    monkeypatch.chdir(place)
    (place / "vide").mkdir()
    (place / "empty.json").write_text("{}")
    (place / "odd.json").write_text('{"mailboxen": []}')
    assert main(["rehearse", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_rehearsal_over_a_folder_opens_no_connection_and_writes_no_file(place):
    forbidden = (
        "sys.addaudithook(lambda event, args: sys.exit(9) if event.startswith('socket.')"
        " or (event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+'))"
        " or event in ('os.remove', 'os.rename', 'os.mkdir', 'subprocess.Popen') else None)"
    )
    words = ["rehearse", str(place / "mails"), "--patients", str(place / "patients.csv")]
    code = (
        f"import sys; sys.dont_write_bytecode = True\nfrom infra.cli.main import main\n"
        f"import infra.cli.rehearse\n{forbidden}\nsys.exit(main({words!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True,
        env={"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "6 intégrés sur 15" in done.stdout
