"""What the command says of a mistaken call is French."""

import pytest

from infra.cli.main import main

ENGLISH = ("usage: ", "error:", "argument", "required", "expected", "invalid", "choose")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "il manque : COMMANDE"),
        (("frob",), "COMMANDE : 'frob' est inconnu (au choix :"),
        (("explain",), "il manque : "),
        (("config", "check", "a", "--frob"), "de trop ou inconnu : --frob"),
        (("up", "--mails"), "--mails : une valeur est attendue"),
        (("up", "--once=1"), "--once : n'attend pas de valeur ('1')"),
        (("pause", "cellar"), "'cellar' est inconnu (au choix : "),
        (("review", "show", "zz"), "8 à 64 chiffres hexadécimaux attendus"),
    ],
)
def test_a_mistaken_call_is_answered_in_french(words, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    told = capsys.readouterr().err
    assert said in told
    assert [each for each in ENGLISH if each in told] == []


def test_help_is_french(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["up", "--help"])
    told = capsys.readouterr().out
    assert told.startswith("usage : pfi up")
    assert "montrer cette aide" in told
    assert "show this" not in told
