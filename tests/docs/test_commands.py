"""Commands and options of the pages exist, and those that exist stand on their page."""

import json
import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module

import pytest

from infra.aws.context import KEYS
from infra.aws.names import STEPS, Deployment, Lane
from infra.cli.main import COMMANDS
from infra.cli.report import DocumentReport, MailReport
from infra.local.demo import Demo
from infra.local.dpi_script import Answer, Rule
from pfi.adapters.csv_patients import read_patients
from pfi.ins.patient_lines import COLUMNS
from tests.docs.pages import REFERENCE, ROOT, blocks, codes, pages, prose, rows, section, text

CLI = REFERENCE / "cli.md"
INSTALL = ROOT / "docs" / "install-hospital.md"
OPTION = re.compile(r"--[a-z][a-z-]*")
MAKE = re.compile(r"\bmake ((?:[a-z]+ ?)+)")


def _parser(command: str) -> ArgumentParser:
    parser = ArgumentParser()
    sub = parser.add_subparsers()
    import_module(f"infra.cli.{command}").add_to(sub)
    (action,) = (a for a in parser._actions if isinstance(a, _SubParsersAction))
    found: ArgumentParser = action.choices[command]
    return found


def _options(command: str) -> set[str]:
    """Of the command and of its own sub-commands."""
    return {word for word in _words(_parser(command)) if word.startswith("--")} - {"--help"}


def _words(parser: ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, _SubParsersAction):
            for inner in action.choices.values():
                yield from _words(inner)


def _targets() -> set[str]:
    makefile = text(ROOT / "Makefile")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    return set(phony.group(1).split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_a_section_with_exactly_its_options(command):
    cells = [row[0] for row in rows(section(CLI, f"pfi {command}"))]
    assert {word for cell in cells for word in OPTION.findall(cell)} == _options(command)


def test_every_make_target_has_its_line():
    named = {row[0].strip("`").removeprefix("make ") for row in rows(section(CLI, "make"))}
    assert named == _targets()


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.name)
def test_every_make_target_of_a_page_exists(page):
    shell = [content for language, content in blocks(page) if language == "sh"]
    spoken = "\n".join([*shell, *codes(prose(page))])
    named = {word for words in MAKE.findall(spoken) for word in words.split()}
    assert named <= _targets()


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.name)
def test_every_pfi_command_and_option_of_a_page_exists(page):
    spoken = [*codes(prose(page)), *(line for _, b in blocks(page) for line in b.splitlines())]
    calls = [found for line in spoken if (found := re.search(r"(?:^|[ /])pfi ([a-z]+)(.*)", line))]
    for call in calls:
        command, rest = call.groups()
        assert command in COMMANDS, call.group()
        assert set(OPTION.findall(rest.split("#")[0])) <= _options(command), call.group()


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.name)
def test_json_on_a_page_is_json(page):
    for language, content in blocks(page):
        if language == "json":
            json.loads(content)


def test_the_columns_of_the_patient_file_are_those_of_the_quickstart():
    page = ROOT / "docs" / "quickstart.md"
    cells = [row[0] for row in rows(section(page, "The patient file"))]
    assert tuple(name for cell in cells for name in codes(cell)) == COLUMNS
    (sample,) = (content for language, content in blocks(page) if language == "csv")
    assert len(read_patients(sample)) == 2


def test_the_report_of_the_quickstart_has_the_fields_of_the_report():
    table = section(ROOT / "docs" / "quickstart.md", "The report")
    named = {row[0].strip("`") for row in rows(table)}
    mail = {each.name for each in fields(MailReport)}
    assert named == mail | {f"documents[].{each.name}" for each in fields(DocumentReport)}


def test_the_script_keys_and_answers_of_the_simulated_dpi_are_documented():
    content = section(ROOT / "docs" / "quickstart.md", "A DPI that refuses")
    keys = {name for row in rows(content) for name in codes(row[0])}
    assert keys == {each.name for each in fields(Rule) if each.init}
    assert {each.value for each in Answer} <= set(codes(content))


def test_every_context_key_of_the_stacks_has_its_line():
    found = {row[0].strip("`"): row[1] for row in rows(section(INSTALL, "Context"))}
    assert found == dict(KEYS)


def test_the_reservations_of_the_operations_page_are_those_of_the_stacks():
    page = text(ROOT / "docs" / "hds" / "operations.md")
    given = re.search(r"add up to (\d+) with the defaults\s.*at least (\d+)", page)
    assert given is not None
    alone, with_a_lane = (
        sum(place.reserved(step) or 0 for step in STEPS)
        for place in (Deployment(), Deployment(lanes=(Lane("psy", 1),)))
    )
    assert tuple(map(int, given.groups())) == (alone, with_a_lane - alone)


def test_the_demonstration_of_the_readme_is_the_one_that_runs():
    shown = text(ROOT / "README.md")
    for name, expected in Demo().expected().items():
        line = next(each for each in shown.splitlines() if each.startswith(name))
        _, events, reason, mdn = expected.split()
        assert line.split()[-2:] == [reason, mdn]
        assert [e.split(":")[0] for e in re.findall(r"T\d\d:\S+", line)] == [
            e for e in events.split("+") if e != "-"
        ]
