"""One cold start in this process, which must be a fresh one: what a function imports, the clients
that it makes, and the CPU time of both.

    python -m tests.unit.edge.cold <function>
    python -m tests.unit.edge.cold alone dynamodb,s3     boto3 with these clients, nothing else

`TOUCHED` says what a function uses of `pfi.edge.wiring` on the straight path; that this is what the
steps really do is held by tests/contracts/test_call_budget.py, on the emulator.
"""

import json
import os
import sys
import time
from importlib import import_module
from typing import Any, Final

STORED: Final = ("_parameters", "table", "store")
TOUCHED: Final[dict[str, tuple[str, ...]]] = {
    "collect": (*STORED, "_secrets"),
    "parse": ("_parameters", "store"),
    "match": (*STORED, "patients", "jobs"),
    "push": (*STORED, "jobs", "_secrets", "_circuits"),
    "forward": STORED,
    "review": ("_parameters", "table"),
    "certificates": ("_parameters", "secrets_client"),
    "prove": (*STORED, "patients", "jobs"),
    "retain": STORED,
    "feed": (*STORED, "patients"),
    "load": ("_parameters", "store", "patients"),
}
PEERS: Final = {"collect": ("imap",), "push": ("mllp",)}
"""Adapters that open a connection as soon as they are made: imported here, no more."""
CLIENTS: Final[dict[str, frozenset[str]]] = {
    "collect": frozenset({"ssm", "dynamodb", "s3", "secretsmanager"}),
    "parse": frozenset({"ssm", "s3"}),
    "match": frozenset({"ssm", "dynamodb", "s3", "sqs"}),
    "push": frozenset({"ssm", "dynamodb", "s3", "sqs", "secretsmanager"}),
    "forward": frozenset({"ssm", "dynamodb", "s3"}),
    "review": frozenset({"ssm", "dynamodb"}),
    "certificates": frozenset({"ssm", "secretsmanager"}),
    "prove": frozenset({"ssm", "dynamodb", "s3", "sqs"}),
    "retain": frozenset({"ssm", "dynamodb", "s3"}),
    "feed": frozenset({"ssm", "dynamodb", "s3"}),
    "load": frozenset({"ssm", "dynamodb", "s3"}),
}
ENVIRONMENT: Final = {
    "AWS_DEFAULT_REGION": "eu-west-3",
    "AWS_ACCESS_KEY_ID": "cold",
    "AWS_SECRET_ACCESS_KEY": "cold",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "PFI_BUCKET": "bucket",
    "PFI_LEDGER_TABLE": "ledger",
    "PFI_PATIENTS_TABLE": "patients",
    "PFI_SETTINGS_PARAMETER": "settings",
    "PFI_SECRET_MSSANTE": "mssante",
    "PFI_SECRET_DPI": "dpi",
    "PFI_MAIL_DAYS": "30",
}
"""As the stack gives it to a function (test_cold_start.py looks)."""


def start(function: str) -> list[str]:
    """Load a function and make what it touches; the clients, in the order they were made."""
    import_module(f"functions.{function}.handler")
    made, ports = _watched(), import_module("pfi.edge.wiring").services()
    for port in TOUCHED[function]:
        getattr(ports, port)
    for adapter in PEERS.get(function, ()):
        import_module(f"pfi.adapters.{adapter}")
    return made


def alone(clients: list[str]) -> list[str]:
    """What nobody can do without."""
    session, made = import_module("boto3").Session(), _watched()
    for service in clients:
        session.client(service)
    return made


def _watched() -> list[str]:
    """The clients made from now on. boto3 is there: whoever makes clients imported it."""
    made: list[str] = []
    sessions = import_module("boto3").Session
    make = sessions.client

    def watched(session: Any, service: str, **options: Any) -> Any:
        made.append(service)
        return make(session, service, **options)

    sessions.client = watched
    return made


def main(what: str, clients: str = "") -> None:
    os.environ.update(ENVIRONMENT)
    before, started = set(sys.modules), time.process_time()
    made = alone(clients.split(",")) if what == "alone" else start(what)
    took = time.process_time() - started
    modules = sorted(set(sys.modules) - before)
    print(json.dumps({"cpu_s": took, "clients": made, "modules": modules}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
