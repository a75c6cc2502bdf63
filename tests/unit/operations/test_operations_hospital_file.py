"""`hospital.toml`: every fault in French, on its line."""

from pathlib import Path

import pytest

from infra.cli.config import EXAMPLE
from infra.cli.main import main
from infra.operations.coherence import review
from infra.operations.hospital_file import HospitalFileRefused
from infra.operations.positions import Positions
from pfi.edge.settings import dump_settings, read_settings

GOOD = EXAMPLE.read_text(encoding="utf-8")


def refused(text: str) -> list[str]:
    with pytest.raises(HospitalFileRefused) as found:
        review(text)
    return [each.shown("h") for each in found.value.faults if not each.warning]


def line_of(words: str, text: str = GOOD) -> int:
    return text[: text.index(words)].count("\n") + 1


def test_the_example_is_correct_and_has_two_establishments_and_three_mailboxes():
    hospital = review(GOOD).hospital
    assert len(hospital.establishments) == 2
    assert len(hospital.mailboxes) == 3
    assert read_settings(dump_settings(hospital.settings)) == hospital.settings


FAULTS = [
    ('dpi = "dpi-ehpad"', 'dpi = "dpi-x"', "DPI « dpi-x » non déclaré"),
    ('establishment = "ehpad-exemple"', 'establishment = "x"', "établissement « x » non déclaré"),
    ('"accueil@ehpad-exemple.mssante.fr"', '"PFI@ehpad-exemple.mssante.fr"', "boucle"),
    ('id = "chirurgie"', 'id = "medecine"', "déjà pris plus haut"),
    ('"pfi.chirurgie@ch-exemple.mssante.fr"', '"PFI.medecine@ch-exemple.mssante.fr"', "déjà pris"),
    ('"secretariat.chirurgie@ch-exemple.mssante.fr"', '"x@example.org"', "espace de confiance"),
    ("imap_port = 143", "imap_port = 65536", "de 1 à 65535"),
    ('"UNICODE UTF-8"     ', '"latin1"', "valeurs acceptées : 'UNICODE UTF-8' ou '8859/15'"),
    ('receiving_application = "DPI"', 'receiving_application = "D^PI"', "séparateurs HL7"),
    ('sending_facility = "CH-EXEMPLE"', 'sending_facility = ""', "requis"),
    ('region = "eu-west-3"', 'region = "us-east-1"', "Espace économique européen"),
    ('name = "pfi-test"', 'name = "pfi"', "-test"),
    ("ack_timeout_s = 60", "ack_timeout_s = 200", "le temps de la fonction push"),
    ("bodies_days = 30", "bodies_days = 0", "au moins un jour"),
    ("ledger_days = 400", "ledger_days = 10", "au moins autant"),
    ("concurrency = 10", 'concurrency = "10"', "un nombre entier"),
    ('service_code = "MED"', 'servise_code = "MED"', "vouliez-vous dire « service_code »"),
    ("collect = true", 'collect = "oui"', "true ou false"),
    ('finess = "990000001"', 'finess = "99"', "neuf caractères"),
    ('"198.51.100.10/32:143"', '"imap.operateur.fr:143"', "forme attendue"),
    ('customer_gateway = "203.0.113.5"', 'customer_gateway = ""', "requis par link"),
    ('name = "pfi-test"', 'name = "pfi-guard"', "piles annexes"),
    ("poll_age_s = 300", "pol_age_s = 300", "refusé par la pile"),
    ("hold_s = 86400", "hold_s = -1", "valeur positive"),
    ("concurrency = 2                   #", "concurrency = 1001 #", "de 1 à 1000"),
    ("min_interval_s = 0 ", "min_interval_s = 5 ", "écrire concurrency = 1"),
    ("min_interval_s = 0 ", "min_interval_s = -1 ", "valeur positive"),
    ('crl_urls = ["http://igc', 'crl_urls = ["ldap://igc', "http:// ou https://"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), FAULTS, ids=[each[1] for each in FAULTS])
def test_a_fault_is_told_in_french_on_its_line(old, new, words):
    assert old in GOOD
    [told] = refused(GOOD.replace(old, new, 1))
    line = line_of("[alarms.thresholds]") if "poll" in old else line_of(old)
    assert told.startswith(f"h:{line}:"), told
    assert words in told


def test_a_production_file_refuses_test_addresses_and_a_test_name():
    text = GOOD.replace('"test" ', '"production" ').replace(
        "pfi@ehpad-exemple.mssante.fr", "pfi@ehpad.mssante.test"
    )
    told = " ".join(refused(text))
    assert "adresse d'essai (.test) dans un environnement de production" in told
    assert "-test" in told


def test_several_faults_come_together_in_the_order_of_the_file():
    text = GOOD.replace("imap_port = 143", "imap_port = 0").replace('id = "ehpad"', 'id = "É"')
    lines = [int(each.split(":")[1]) for each in refused(text)]
    assert lines == sorted(lines)
    assert len(lines) == 2


def test_a_missing_key_is_told_on_the_line_of_its_table():
    text = GOOD.replace('address = "pfi.chirurgie@ch-exemple.mssante.fr"\n', "")
    [told] = refused(text)
    assert told.startswith(f"h:{line_of('[[mailboxes]]', text) + 9}: mailboxes[2].address")
    assert "obligatoire" in told


def test_a_missing_table_and_broken_toml_are_told_too():
    [told] = refused("[deployment]\nname = 'x\n")
    assert told.startswith("h:2: syntaxe TOML")
    assert "la table [operator] est obligatoire" in " ".join(refused("[deployment]\nname='a'\n"))


def test_warnings_do_not_refuse():
    text = GOOD.replace('tls = "mutual" ', 'tls = "off" ').replace(
        'fallback = "accueil@ehpad-exemple.mssante.fr"', 'fallback = ""'
    )
    told = " ".join(each.shown("h") for each in review(text).warnings)
    assert "MLLP en clair" in told
    assert "l'expéditeur recevra une réponse" in told


@pytest.mark.parametrize(
    "key",
    ["mailboxes[1].address", "dpis[2].host", "network.imap", "feeds[1].client_certificates",
     "endpoint.certificate", "operator.imap_host", "alarms.addresses", "establishments[2].id",
     "establishments[1].finess"],
)  # fmt: skip
def test_what_is_left_of_the_model_is_told_and_refused_in_production(key):
    told = [each.shown("h") for each in review(GOOD).warnings]
    assert any(f" {key} : valeur du modèle" in each for each in told)
    live = GOOD.replace('"test" ', '"production" ').replace('"pfi-test"', '"pfi"')
    assert any(f" {key} : valeur du modèle" in each for each in refused(live))


def test_no_value_of_a_hospital_is_taken_for_one_of_the_model():
    text = GOOD
    replaced = {
        "exemple": "meaux",
        "EXEMPLE": "MEAUX",
        "Exemple": "Meaux",
        ".operateur.": ".edition.",
        "198.51.100.": "100.64.51.",
        "203.0.113.": "100.64.52.",
        "111122223333": "123456789012",
        "990000001": "999999999",
        "0" * 64: "5e" * 32,
        'product_reference = ""': 'product_reference = "PFI-1"',
    }
    for invented, real in replaced.items():
        text = text.replace(invented, real)
    assert review(text).warnings == ()


def test_positions_see_through_strings_and_arrays():
    text = 'a = """\n[x]\nb = 1\n"""\nc = [\n  "d = 1", # [\n]\n[[t]]\nk = 1\n[[t]]\n[t.u]\nv = 2\n'
    found = Positions.of(text)
    assert found.line(("c", 0)) == 5
    assert found.line(("t", 0, "k")) == 9
    assert found.line(("t", 1, "u", "v")) == 12
    assert ("x",) not in found.lines


def test_init_writes_the_example_and_never_replaces_a_file(tmp_path: Path, capsys):
    path = tmp_path / "hospital.toml"
    assert main(["config", "init", str(path)]) == 0
    assert main(["config", "check", str(path)]) == 0
    path.write_text("mine")
    assert main(["config", "init", str(path)]) == 2
    assert path.read_text() == "mine"
    assert main(["config", "check", str(path)]) == 1
    assert "hospital.toml:1:" in capsys.readouterr().out
