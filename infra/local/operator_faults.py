"""The switches that make the simulated operator misbehave (mail-edge §4.2, §4.3)."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """All off by default. Numbers count down: each event uses one up. Set them at any time."""

    cut_fetch_after: int | None = None
    """Cut the connection after so many bytes of the next FETCH literal."""
    cut_before_ok: str = ""
    """Carry out the next command of this name (MOVE, COPY, …), then cut before its answer."""
    poison_uids: set[int] = field(default_factory=set)
    """Reading the body of these cuts the connection, every time."""
    limited: int = 0
    """So many IMAP commands after authentication get NO [LIMIT]."""
    hidden_capabilities: set[str] = field(default_factory=set)
    """Not advertised and unknown: MOVE, UIDPLUS…"""
    smtp_temporary: int = 0
    """So many RCPT get 451."""
    smtp_refused: set[str] = field(default_factory=set)
    """These recipients get 550."""
    smtp_later: set[str] = field(default_factory=set)
    """These recipients get 451, always."""
    drop_after_delivery: int = 0
    """So many mails are delivered, then the connection is cut before 250."""
    refuse_null_sender: bool = False
    """MAIL FROM:<> gets 501."""
    full_mailboxes: set[str] = field(default_factory=set)
    """Accepted, not delivered, and a DSN comes back later."""
    delay_s: float = 0.0
    """Every IMAP and SMTP command waits so long."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def clear(self) -> None:
        """All off again."""
        fresh = Faults()
        for name in self.__slots__:
            if name != "_lock":
                setattr(self, name, getattr(fresh, name))

    def use(self, name: str) -> bool:
        """True when a counting switch is on; uses one up."""
        with self._lock:
            left = int(getattr(self, name))
            setattr(self, name, max(left - 1, 0))
            return left > 0

    def cut_now(self, command: str) -> bool:
        """True once for the command named by `cut_before_ok`."""
        with self._lock:
            hit = bool(command) and self.cut_before_ok.upper() == command
            if hit:
                self.cut_before_ok = ""
            return hit

    def fetch_cut(self) -> int | None:
        """The number of bytes after which this literal is cut; once."""
        with self._lock:
            cut, self.cut_fetch_after = self.cut_fetch_after, None
            return cut
