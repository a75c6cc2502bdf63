"""What a hospital configures. Plain values with defaults; validated in `pfi.edge.settings`.

Each field has its line in docs/reference/settings.md (tested). Numbers of open questions (Q-nn)
name the ambiguity of the public texts that a setting decides.
"""

from dataclasses import dataclass, field
from typing import Literal

from pfi.names import Environment, SenderClass


@dataclass(frozen=True, slots=True, kw_only=True)
class DpiSettings:
    """One DPI interface: where MDM messages go and under which names (hl7-mdm §5.3 MSH)."""

    id: str
    host: str
    port: int
    sending_facility: str
    receiving_facility: str
    tls: Literal["off", "server", "mutual"] = "mutual"
    sending_application: str = "PFI"
    receiving_application: str = "DPI"
    charset: Literal["UNICODE UTF-8", "8859/15"] = "UNICODE UTF-8"
    add_local_ipp: bool = False
    ipp_authority: str = ""
    txa13_on_delete: bool = False
    connect_timeout_s: float = 10
    ack_timeout_s: float = 60
    resend_on_unknown: int = 3
    recognises_repeats: bool = False
    hold_s: int = 86_400
    concurrency: int = 2
    min_interval_s: float = 0
    crl_urls: tuple[str, ...] = ()

    @property
    def exchange_s(self) -> float:
        """The longest that an exchange may take."""
        return self.connect_timeout_s + self.ack_timeout_s

    @property
    def paced(self) -> bool:
        """One message at a time: a single connection, or a pause after each message."""
        return self.concurrency <= 1 or self.min_interval_s > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxSettings:
    """One BAL applicative: which establishment, DPI and fallback mailbox it serves."""

    id: str
    address: str
    establishment: str
    dpi: str
    fallback: str = ""
    reply_to: str = ""
    service_name: str = ""
    service_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """One identity repository that feeds the patient base of one establishment by IHE PAM."""

    id: str
    establishment: str
    ipp_authority: str
    client_certificates: tuple[str, ...] = ()
    """SHA-256 of the certificates that may feed it; none: nobody may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """How to reach the MSSanté operator (mail-edge §1.1)."""

    imap_host: str = ""
    imap_port: int = 143
    smtp_host: str = ""
    smtp_port: int = 587
    tls: Literal["starttls", "implicit"] = "starttls"
    auth: Literal["external", "plain", "none", "xoauth2"] = "external"
    revocation: Literal["crl", "off"] = "crl"
    crl_urls: tuple[str, ...] = ()
    timeout_s: float = 30
    send_bytes: int = 25_000_000
    processed_folder: str = "PFI-Traites"
    set_aside_folder: str = "PFI-A-revoir"
    mails_per_run: int = 50
    run_budget_s: float = 40
    fetch_attempts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """Domains of one sort of senders, for the dashboards only: nothing is decided by it."""

    kind: SenderClass
    suffixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSettings:
    """Identity policy (Q-09 … Q-14, Q-18, Q-38)."""

    who: Literal["both", "pfi", "dpi"] = "both"
    separators: Literal["equivalent", "strict"] = "equivalent"
    key: Literal["warn", "reject"] = "warn"
    birthplace: Literal["required", "if_present"] = "required"
    given_list: Literal["audit", "strict"] = "audit"
    nia_alias: bool = True
    deduce_first_given: bool = False
    blocking: tuple[str, ...] = ("DOUT", "FICT", "ANOM", "CACH", "USUR", "INVA", "COLP", "COLV")
    grace_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MdnSettings:
    """Acknowledgements to senders (Q-03 … Q-07)."""

    syntax: Literal["v113", "v112"] = "v113"
    reattach: bool = False
    when_fallback: Literal["error", "none"] = "error"
    trust_missing_return_path: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Sizes accepted (M-15, Q-27); tested before anything is inflated."""

    mail_bytes: int = 50_000_000
    unzipped_bytes: int = 200_000_000
    entries: int = 500
    ratio: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class XdmSettings:
    """Reading of archives (Q-02, Q-30, X-24)."""

    hash: Literal["reject", "warn"] = "reject"
    lenient_uri: bool = False
    rplc_without_action: Literal["replace", "initial"] = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Back-off of queue messages, in seconds (hl7-mdm §5.5: 1, 5, 15, 60 min, then hourly)."""

    backoff_s: tuple[int, ...] = (60, 300, 900, 3600)
    unexpected_attempts: int = 3
    order_grace_s: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One deployment: possibly several establishments, mailboxes and DPI targets (GHT)."""

    environment: Environment = Environment.PRODUCTION
    mailboxes: tuple[MailboxSettings, ...] = ()
    dpis: tuple[DpiSettings, ...] = ()
    feeds: tuple[FeedSettings, ...] = ()
    operator: OperatorSettings = field(default_factory=OperatorSettings)
    trusted_suffixes: tuple[str, ...] = (".mssante.fr",)
    senders: tuple[SenderSettings, ...] = ()
    match: MatchSettings = field(default_factory=MatchSettings)
    mdn: MdnSettings = field(default_factory=MdnSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    xdm: XdmSettings = field(default_factory=XdmSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    forward_layout: Literal["rfc822", "flat", "both"] = "both"
    forward_masked: bool = True
    product_reference: str = ""
    ledger_days: int = 400

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address that is us: a mail from one of them is a loop."""
        return frozenset(m.address.lower() for m in self.mailboxes)

    def mailbox(self, mailbox_id: str) -> MailboxSettings | None:
        """The mailbox of that id, None when it is not configured (any more)."""
        return next((m for m in self.mailboxes if m.id == mailbox_id), None)

    def dpi(self, dpi_id: str) -> DpiSettings | None:
        """The DPI interface of that id, None when it is not configured (any more)."""
        return next((d for d in self.dpis if d.id == dpi_id), None)

    def feed(self, feed_id: str) -> FeedSettings | None:
        """The feed of that id, None when it is not configured (any more)."""
        return next((f for f in self.feeds if f.id == feed_id), None)

    def fed_by(self, fingerprint: str) -> FeedSettings | None:
        """The feed of which this client certificate (SHA-256) is one."""
        wanted = plain_fingerprint(fingerprint)
        for feed in self.feeds:
            if wanted and wanted in map(plain_fingerprint, feed.client_certificates):
                return feed
        return None

    def lane(self, mailbox_id: str) -> str:
        """The DPI whose lane the documents of a mailbox take; empty when it has none (any more)."""
        mailbox = self.mailbox(mailbox_id)
        return mailbox.dpi if mailbox else ""


def plain_fingerprint(text: str) -> str:
    """``AB:CD…`` as openssl prints it, and ``abcd…``, are one fingerprint."""
    return text.replace(":", "").strip().lower()
