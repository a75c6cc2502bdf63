"""The answer of a DPI to an MDM, and what it means for us (hl7-mdm §5.5).

Read leniently: only MSA-1, MSA-2 and the codes of ERR count; texts and table names are ignored
(Q-23), because DPI differ there and a text may name a patient.
"""

from enum import StrEnum
from typing import Final, NamedTuple

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


class Ack(NamedTuple):
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
_CODES: Final = frozenset({*_BY_CODE, "AE", "CE"})
_MILD: Final = frozenset({"W", "I"})
_CODE_SIZE: Final = 20
_UTF8_MARK: Final = b"\xef\xbb\xbf"


def read(raw: bytes, control_id: str) -> Ack:
    """Classify an answer to the message `control_id`. Never raises, whatever the bytes."""
    segments, separators = er7.split(raw.removeprefix(_UTF8_MARK).decode("latin-1"))
    answers, errors = _of(segments)
    if len(answers) != 1 or not _is_ack(segments[0], separators):
        return Ack(Verdict.UNREADABLE)
    code = _code(er7.first(answers[0], 1, separators)).upper()
    if code not in _CODES:
        return Ack(Verdict.UNREADABLE)
    if er7.first(answers[0], 2, separators).strip() != control_id:
        return Ack(Verdict.NOT_OURS, code)
    error_code, application_code = _codes(answers[0], errors, separators)
    verdict = _BY_CODE.get(code) or _BY_ERROR.get(error_code, Verdict.FUNCTIONAL)
    return Ack(verdict, code, error_code, application_code, control_id)


def _of(segments: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """MSA and ERR segments."""
    answers, errors = [], []
    for fields in segments:
        name = fields[0].strip()
        if name == "MSA":
            answers.append(fields)
        elif name == "ERR":
            errors.append(fields)
    return answers, errors


def _is_ack(header: list[str], separators: str) -> bool:
    return er7.first(header, 9, separators).strip().upper().startswith("ACK")


def _codes(answer: list[str], errors: list[list[str]], separators: str) -> tuple[str, str]:
    """The codes of the gravest ERR; ERR-1 or MSA-6 for a DPI that still writes version 2.4."""
    grave = [e for e in errors if er7.first(e, 4, separators).strip().upper() not in _MILD]
    for error in grave or errors:
        code = _code(er7.first(error, 3, separators))
        application_code = _code(er7.first(error, 5, separators))
        if code or application_code:
            return code, application_code
        if condition := Segment(tuple(error), separators).component(1, 4):
            return _code(condition.split("&")[0]), ""
    return _code(er7.first(answer, 6, separators)), ""


def _code(text: str) -> str:
    """A code, never a sentence: letters and digits, short; '' for anything else."""
    code = text.strip()
    plain = code.isascii() and code.isalnum() and len(code) <= _CODE_SIZE
    return code if plain else ""
