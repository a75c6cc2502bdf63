"""The scripted answers of the simulated DPI. The format is in `infra.local.dpi`."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from infra.local.mdm_profile import Segments


class Answer(StrEnum):
    """What the DPI does once it has a well-formed MDM."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CA_THEN_AA = "CA_THEN_AA"
    SILENCE = "SILENCE"
    DROP = "DROP"
    LATE = "LATE"
    WRONG_ID = "WRONG_ID"
    GARBAGE = "GARBAGE"
    ACCEPT_THEN_DROP = "ACCEPT_THEN_DROP"


_ACCEPTING: Final = frozenset({Answer.AA, Answer.CA_THEN_AA, Answer.LATE, Answer.ACCEPT_THEN_DROP})


@dataclass(slots=True, kw_only=True)
class Rule:
    """One rule: selectors, answer, and how often it has matched and answered."""

    answer: Answer = Answer.AA
    event: str = ""
    document: str = ""
    matricule: str = ""
    control_id: str = ""
    nth: int = 0
    times: int = 0
    err3: str = "207"
    err5: str = "906"
    text: str = ""
    seconds: float = 5.0
    accept: bool | None = None
    matched: int = field(default=0, init=False)
    answered: int = field(default=0, init=False)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Rule":
        """A rule of the script; ValueError names what it does not know."""
        known = {f.name for f in fields(cls) if f.init}
        unknown = set(data) - known
        if unknown:
            raise ValueError(f"unknown in a rule: {', '.join(sorted(unknown))}")
        return cls(**{**data, "answer": Answer(data.get("answer", "AA"))})

    @property
    def keeps(self) -> bool:
        """Whether the message is stored as integrated."""
        return self.answer in _ACCEPTING if self.accept is None else self.accept

    def takes(self, segments: Segments) -> bool:
        """True when this rule answers; counts the match even when it is another's turn."""
        if not self._selects(segments):
            return False
        self.matched += 1
        if (self.nth and self.matched != self.nth) or (self.times and self.answered >= self.times):
            return False
        self.answered += 1
        return True

    def _selects(self, segments: Segments) -> bool:
        header = segments.first("MSH")
        document = segments.first("TXA")
        patients = [one.split("^")[0] for one in segments.first("PID").repetitions(3)]
        return (
            self.event in {"", header.component(9, 2)}
            and self.control_id in {"", header.field(10)}
            and self.document in {"", document.field(12), document.component(12)}
            and self.matricule in {"", *patients}
        )


def script_fault(path: Path) -> str:
    """Why a script file cannot be played; '' when it can."""
    script = Script(path)
    script.reload()
    return script.fault or ("" if path.is_file() else "introuvable")


class Script:
    """The rules in force; a script file is read again whenever it changes."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._rules: list[Rule] = []
        self.fault = ""
        """Why the last change of the file was not taken; '' when it was."""

    def play(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rules, counts start anew."""
        read = [Rule.read(rule) for rule in rules]
        with self._lock:
            self._rules = read

    def rule(self, segments: Segments) -> Rule:
        """The first rule that answers this message; without one, AA."""
        self.reload()
        with self._lock:
            return next((r for r in self._rules if r.takes(segments)), Rule())

    def reload(self) -> None:
        """Read the file again if it changed."""
        stamp = self._seen()
        if stamp is None or stamp == self._stamp or self._path is None:
            return
        self._stamp = stamp
        try:
            data = json.loads(self._path.read_text("utf-8"))
            self.play(data["rules"] if isinstance(data, dict) else data)
        except (ValueError, TypeError, KeyError, OSError) as error:
            self.fault = f"{type(error).__name__}: {error}"
        else:
            self.fault = ""

    def _seen(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size) if status else None
