"""A mail waits for the identity feed on the deployed stack: under way, then integrated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from infra.cli.main import main
from infra.local.hospital import DEMO_ESTABLISHMENT
from pfi.journey.records import MailState
from pfi.names import Route
from tests.data.builders import LEA
from tests.journeys.letters import letter, written
from tests.journeys.stage import Stage, eventually

AWAITED = replace(LEA, ipp="IPP-ATTENDU", body="2910775102027", birth_name="ATTENDUE")
GRACE_S = 200


@contextmanager
def grace(stage: Stage) -> Iterator[None]:
    """The settings of a hospital that gives its repository a moment, for `match` at once."""
    before = stage.laptop.settings
    patiently = replace(before.match, grace_s=GRACE_S)

    def tell(match):
        stage.laptop.configure(replace(before, match=match))
        stage.laptop.client("lambda").update_function_configuration(
            FunctionName=stage.laptop.outputs["FunctionMatch"], Description="settings read again"
        )

    tell(patiently)
    try:
        yield
    finally:
        tell(before.match)


def awaiting(stage: Stage) -> str:
    """A mail that waits. A worker kept warm may hold the settings of before for a minute."""
    for _ in range(5):
        mail = stage.put(letter(written(AWAITED), mdn=False))
        if eventually(lambda: "MAIL_AWAITS_FEED" in stage.told_of(mail), 20):  # noqa: B023
            return mail
    raise AssertionError("no mail waits")


def test_a_patient_brought_within_the_grace_is_integrated_and_the_mail_was_never_lost(
    stage, capsys
):
    folder = str(stage.laptop.folder)
    with grace(stage):
        mail = awaiting(stage)
        waiting = stage.ledger.mail(mail).record
        assert (waiting.state, waiting.reason) == (MailState.READ, "902")
        assert main(["status", "--folder", folder]) == 0
        assert "en cours" in capsys.readouterr().out
        assert main(["prove", "--folder", folder, "--grace", "0"]) == 0
        stage.laptop.load_patients(DEMO_ESTABLISHMENT, (AWAITED.record,))
        found = stage.settled(mail, 60)
    assert (found.route, found.reason, found.forwarded_to) == (Route.INTEGRATED, None, None)
    assert main(["trace", mail, "--folder", folder]) == 0
    assert "concordante" in capsys.readouterr().out
