"""The hospital of the laptop: one establishment, one application mailbox, one DPI; all invented."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from infra.local.invented.identity_messages import AUTHORITY
from pfi.journey.settings import DpiSettings, FeedSettings, MailboxSettings, Settings
from pfi.names import Environment

DEMO_MAILBOX: Final = "pfi.reception@ch-demo.mssante.test"
DEMO_FALLBACK: Final = "secretariat.dossiers@ch-demo.mssante.test"
DEMO_ESTABLISHMENT: Final = "ch-demo"
TRUSTED: Final = (".mssante.fr",)
TRUSTED_IN_TEST: Final = (".mssante.fr", ".mssante.test")


def settings_of(
    environment: Environment,
    address: str,
    fallback: str,
    trusted: Sequence[str] = (),
) -> Settings:
    """One establishment, one mailbox, one DPI: what the laptop and `explain` work with."""
    suffixes = TRUSTED_IN_TEST if environment is Environment.TEST else TRUSTED
    mailbox = MailboxSettings(
        id="reception",
        address=address,
        establishment=DEMO_ESTABLISHMENT,
        dpi="dpi",
        fallback=fallback,
    )
    dpi = DpiSettings(
        id="dpi",
        host="127.0.0.1",
        port=2575,
        sending_facility="CH-DEMO",
        receiving_facility="CH-DEMO",
    )
    return Settings(
        environment=environment,
        mailboxes=(mailbox,),
        dpis=(dpi,),
        feeds=(FeedSettings(id="gam", establishment=DEMO_ESTABLISHMENT, ipp_authority=AUTHORITY),),
        trusted_suffixes=tuple(trusted) or suffixes,
    )


def with_mailbox(settings: Settings, address: str) -> Settings:
    """The same settings for another own mailbox."""
    mailbox = replace(settings.mailboxes[0], address=address)
    return replace(settings, mailboxes=(mailbox,))
