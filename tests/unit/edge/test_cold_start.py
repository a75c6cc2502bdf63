"""The budget of a cold start: what each function imports, which clients it makes, and its CPU time
beside boto3 with the same clients alone (docs/decisions/0026)."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from statistics import median

import pytest

from pfi.edge.wiring import Services
from tests.unit.edge.cold import CLIENTS, ENVIRONMENT, TOUCHED

ROOT = Path(__file__).parents[3]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))

LIMITS = {**dict.fromkeys(FUNCTIONS, 1.5), "parse": 1.6}
"""Cold start of a function ÷ boto3 with the same clients alone; `parse` brings all the readers."""
GATE = 1.25
ROUNDS = 3
"""At first; where their median is over the gate, twice as many more."""

PACKAGES = {
    *("functions", "pfi", "boto3", "aws_lambda_powertools", "typing_extensions"),
    *("pydantic", "pydantic_core", "annotated_types", "typing_inspection"),
    *("isal", "pybase64"),
}
"""All that a function brings beside what boto3 has: what else it ever needs is decided here."""
READERS = {"lxml", "_cython_3_2_9", "cython_runtime"}
NEVER = [
    *("asyncio", "smtplib", "unittest", "infra", "tests", "ministack", "aiosmtpd", "cryptography"),
    *("hl7", "hl7apy", "hl7types", "aws_cdk", "constructs", "aws_xray_sdk"),
    *("pydantic_settings", "pydantic.networks", "pydantic.v1", "pydantic.mypy"),
    *("aws_lambda_powertools.event_handler", "aws_lambda_powertools.utilities.batch"),
    *("aws_lambda_powertools.utilities.data_classes", "aws_lambda_powertools.utilities.parser"),
    *("aws_lambda_powertools.utilities.idempotency", "aws_lambda_powertools.utilities.validation"),
    *("pfi.adapters.smtp", "pfi.adapters.csv_patients", "pfi.journey.foresight"),
]
"""Not even by a dependency. A mail leaves off the straight path only: `forward` then imports it."""
ONLY = {
    "imaplib": {"collect"},
    "pfi.adapters.imap": {"collect"},
    "pfi.adapters.mail_access": {"collect", "certificates"},
    "pfi.adapters.mllp": {"push"},
    "pfi.adapters.circuit": {"push"},
    "pfi.adapters.patients": {"match", "prove", "feed", "load"},
    "pfi.adapters.sqs": {"match", "push", "prove"},
    "pfi.adapters.x509": {"certificates"},
    "pfi.adapters.revocation": {"certificates"},
    "pfi.adapters.loads": {"load"},
    "pfi.cda": {"parse"},
    "pfi.xdm": {"parse"},
    "pfi.xml": {"parse"},
    "lxml": {"parse"},
    "pfi.journey.reading": {"parse"},
    "pfi.mail.rules": {"parse", "forward"},
    "pfi.mail.outbound": {"forward"},
    "pfi.hl7.ack": {"push"},
    "pfi.hl7.mdm": {"push", "forward", "feed", "load"},
    "pfi.hl7.adt": {"feed", "load"},
    "pfi.hl7.pid": {"feed", "load"},
    "pfi.journey.accounts": {"prove", "retain"},
    "pfi.edge.lambdas": {"collect", "parse", "match", "push", "forward", "review", "load"},
}
"""Who imports what not everybody needs: exactly these."""


def fresh(*words):
    """One cold start in a process of its own; the first of a checkout would compile as well."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.unit.edge.cold", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"},
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(told.stdout)


def alone(function):
    return fresh("alone", ",".join(sorted(CLIENTS[function])))


@cache
def modules(function):
    return frozenset(fresh(function)["modules"])


@cache
def modules_of_boto3():
    return frozenset(fresh("alone", "dynamodb,s3,secretsmanager,sqs,ssm")["modules"])


def within(package, found):
    return any(name == package or name.startswith(f"{package}.") for name in found)


def test_every_function_has_its_budget():
    assert sorted(TOUCHED) == sorted(CLIENTS) == FUNCTIONS
    assert {port for ports in TOUCHED.values() for port in ports} <= set(dir(Services))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_makes_the_clients_that_it_needs_and_each_once(function):
    made = fresh(function)["clients"]
    assert sorted(made) == sorted(CLIENTS[function])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_brings_no_package_beside_those_it_was_given(function):
    brought = modules(function) - modules_of_boto3()
    tops = {name.partition(".")[0] for name in brought}
    foreign = {name for name in tops if not name.startswith("_") and not _standard(name)}
    assert foreign <= PACKAGES | (READERS if function == "parse" else set())


def _standard(name):
    return name in sys.stdlib_module_names


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_no_function_needs_is_imported_by_none(function):
    assert [name for name in NEVER if within(name, modules(function))] == []


@pytest.mark.parametrize("module", ONLY)
def test_what_few_functions_need_is_imported_by_these_only(module):
    assert {each for each in FUNCTIONS if within(module, modules(each))} == ONLY[module]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_cold_start_costs_little_more_than_boto3_with_the_same_clients(function):
    ratios, allowed = rounds(function, ROUNDS), LIMITS[function] * GATE
    if median(ratios) > allowed:
        ratios += rounds(function, 2 * ROUNDS)
    assert median(ratios) <= allowed, [f"{each:.2f}" for each in sorted(ratios)]


def rounds(function, number):
    """The function and boto3 in turn, so that both meet the same machine."""
    return [fresh(function)["cpu_s"] / alone(function)["cpu_s"] for _ in range(number)]


def test_the_environment_of_this_test_is_that_of_the_stack():
    stack = (ROOT / "infra" / "aws" / "pipeline.py").read_text(encoding="utf-8")
    assert f'"PYDANTIC_DISABLE_PLUGINS": "{ENVIRONMENT["PYDANTIC_DISABLE_PLUGINS"]}"' in stack
