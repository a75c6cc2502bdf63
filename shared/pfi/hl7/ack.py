"""The answer of a DPI to an MDM, and what it means for us (hl7-mdm §5.5).

Read leniently: only MSA-1, MSA-2 and the codes of ERR count; texts and table names are ignored
(Q-23), because DPI differ there and a text may name a patient.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pfi.hl7 import er7
from pfi.hl7.er7 import Segment


class Verdict(StrEnum):
    """What to do next."""

    INTEGRATED = "integrated"
    RETRY = "retry"
    FUNCTIONAL = "functional"
    SYNTAX = "syntax"
    CONFIGURATION = "configuration"
    DUPLICATE = "duplicate"
    NOT_OURS = "not_ours"
    COMMIT_ONLY = "commit_only"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Ack:
    """`code` is MSA-1, `error_code` ERR-3.1, `application_code` ERR-5.1 (900…906)."""

    verdict: Verdict
    code: str = ""
    error_code: str = ""
    application_code: str = ""
    control_id: str = ""


_SYNTAX: Final = frozenset({"100", "101", "102", "103", "198", "199"})
_BY_ERROR: Final = (
    dict.fromkeys(_SYNTAX, Verdict.SYNTAX)
    | dict.fromkeys(("200", "201", "202", "203"), Verdict.CONFIGURATION)
    | {"205": Verdict.DUPLICATE, "206": Verdict.RETRY}
)
"""Table 0357; 207 and whatever it does not name is the DPI's own refusal."""
_BY_CODE: Final = {
    "AA": Verdict.INTEGRATED,
    "AR": Verdict.RETRY,
    "CR": Verdict.RETRY,
    "CA": Verdict.COMMIT_ONLY,
}
_ERRORS: Final = frozenset({"AE", "CE"})
_MILD: Final = frozenset({"W", "I"})
_CODE_SIZE: Final = 20


def read(raw: bytes, control_id: str) -> Ack:
    """Classify an answer to the message `control_id`. Never raises, whatever the bytes."""
    segments = er7.segments(raw.removeprefix(b"\xef\xbb\xbf").decode("latin-1"))
    answers, errors = _of(segments)
    if len(answers) != 1 or not segments[0].component(9).strip().upper().startswith("ACK"):
        return Ack(Verdict.UNREADABLE)
    code = _code(answers[0].component(1)).upper()
    answered = answers[0].component(2).strip()
    if code not in _BY_CODE and code not in _ERRORS:
        return Ack(Verdict.UNREADABLE)
    if answered != control_id:
        return Ack(Verdict.NOT_OURS, code)
    return _ours(code, control_id, answers[0], errors)


def _of(segments: tuple[Segment, ...]) -> tuple[list[Segment], list[Segment]]:
    """MSA and ERR segments."""
    named = [(each.name, each) for each in segments]
    return (
        [each for name, each in named if name == "MSA"],
        [each for name, each in named if name == "ERR"],
    )


def _ours(code: str, control_id: str, answer: Segment, errors: list[Segment]) -> Ack:
    error_code, application_code = _codes(answer, errors)
    verdict = _BY_CODE.get(code) or _BY_ERROR.get(error_code, Verdict.FUNCTIONAL)
    return Ack(verdict, code, error_code, application_code, control_id)


def _codes(answer: Segment, errors: list[Segment]) -> tuple[str, str]:
    """The codes of the gravest ERR; ERR-1 or MSA-6 for a DPI that still writes version 2.4."""
    grave = [e for e in errors if e.component(4).strip().upper() not in _MILD]
    for error in grave or errors:
        found = (_code(error.component(3)), _code(error.component(5)))
        if any(found):
            return found
        if error.component(1, 4):
            return _code(error.component(1, 4).split("&")[0]), ""
    return _code(answer.component(6)), ""


def _code(text: str) -> str:
    """A code, never a sentence: letters and digits, short; '' for anything else."""
    code = text.strip()
    plain = code.isascii() and code.isalnum() and len(code) <= _CODE_SIZE
    return code if plain else ""
