"""What an installation for this traffic would cost."""

from infra.operations.cost import Estimate, Volume, read_prices
from infra.operations.hospital_file import Hospital
from infra.rehearsal.tally import Tally
from pfi.journey.settings import Settings


def estimate(tally: Tally, days: int, settings: Settings, hospital: Hospital | None) -> Estimate:
    """By the traffic of the rehearsal and, if there is one, the network of the hospital's file."""
    usual = Volume(
        mails_per_day=len(tally.lines) / days, kb=tally.kb, mailboxes=len(settings.mailboxes)
    )
    return Estimate(usual if hospital is None else _as_in(hospital, usual), read_prices())


def _as_in(hospital: Hospital, usual: Volume) -> Volume:
    network = hospital.network
    nats = network.zones if network.nat == "zone" else 1
    return Volume(
        mails_per_day=usual.mails_per_day,
        kb=usual.kb,
        mailboxes=usual.mailboxes,
        retention_days=hospital.retention.bodies_days,
        nats=nats if network.enabled else 0,
        endpoints=usual.endpoints if network.enabled and network.endpoints else 0,
        vpn=network.link == "vpn",
    )
