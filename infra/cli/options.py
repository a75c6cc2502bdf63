"""What the commands share: defaults, files, settings made from options."""

from argparse import ArgumentTypeError
from pathlib import Path

from infra.local.hospital import DEMO_FALLBACK
from pfi.adapters.csv_patients import PatientFileRefused, read_patients
from pfi.ins.identity import PatientRecord
from pfi.mail.headers import addr_spec
from pfi.names import Environment


class CommandFailed(Exception):
    """Ends a command with a French sentence and exit status 2."""


def environment_of(word: str) -> Environment:
    """An argparse type."""
    try:
        return Environment(word)
    except ValueError:
        raise ArgumentTypeError("test ou production") from None


def address_of(word: str) -> str:
    """An argparse type: one strict address."""
    if not addr_spec(word):
        raise ArgumentTypeError(f"{word} n'est pas une adresse")
    return word


def fallback_of(word: str | None) -> str:
    """The fallback address; ``none`` means that there is none."""
    if word is None:
        return DEMO_FALLBACK
    if word == "none":
        return ""
    if not addr_spec(word):
        raise CommandFailed(f"--fallback : {word} n'est pas une adresse")
    return word


def patients_of(path: Path) -> tuple[PatientRecord, ...]:
    """The records of a patient CSV; the error names the line and the column, never a value."""
    try:
        return read_patients(path.read_text(encoding="utf-8"))
    except PatientFileRefused as fault:
        raise CommandFailed(
            f"{path}: ligne {fault.line}, colonne {fault.fault}: fichier patients refusé"
        ) from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{path}: le fichier patients doit être en UTF-8") from None
    except OSError as fault:
        raise CommandFailed(unreadable(path, fault)) from None


def bytes_of(path: Path) -> bytes:
    """The bytes of a mail file."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise CommandFailed(unreadable(path, fault)) from None


def unreadable(path: Path, fault: OSError) -> str:
    """Why a file cannot be read, for a person."""
    known = {FileNotFoundError: "introuvable", PermissionError: "lecture interdite"}
    return f"{path} : {known.get(type(fault), 'illisible')}"


def unwritable(path: Path, fault: OSError) -> str:
    """Why a file cannot be written, for a person."""
    known = {
        FileNotFoundError: "dossier introuvable",
        PermissionError: "écriture interdite",
        FileExistsError: "existe déjà",
    }
    return f"{path} : {known.get(type(fault), 'écriture impossible')}"
