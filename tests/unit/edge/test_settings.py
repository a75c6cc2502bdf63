"""Settings at the border: what is read back is what was written; errors never quote a value."""

import json
from dataclasses import replace

import pytest

from pfi.edge.settings import (
    SettingsRefused,
    dump_settings,
    environment,
    needed,
    read_settings,
)
from pfi.edge.wiring import STOPPING_S, Services
from pfi.errors import Misconfigured
from pfi.journey.push import LIFE_S
from pfi.journey.settings import Settings
from pfi.names import Environment, Step
from tests.doubles.drive import HOSPITAL


def test_no_settings_are_the_defaults_of_production():
    found = read_settings("{}")
    assert found == Settings()
    assert found.environment is Environment.PRODUCTION


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        HOSPITAL,
        replace(HOSPITAL, forward_layout="flat", trusted_suffixes=(".mssante.fr", "a.fr")),
        replace(HOSPITAL, match=replace(HOSPITAL.match, who="dpi", blocking=("DOUT",))),
    ],
)
def test_what_is_written_is_read_back(settings):
    assert read_settings(dump_settings(settings)) == settings
    assert read_settings(dump_settings(settings).encode()) == settings


def test_defaults_are_not_written():
    assert json.loads(dump_settings(Settings())) == {}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"zqxcle": 1}', "zqxcle"),
        ('{"mdn": {"zqxcle": "ZQXVALEUR"}}', "mdn.zqxcle"),
        ('{"mailboxes": [{"id": "a", "address": "ZQXVALEUR"}]}', "mailboxes.0.establishment"),
        ('{"forward_layout": "ZQXVALEUR"}', "forward_layout"),
        ('{"ledger_days": "ZQXVALEUR"}', "ledger_days"),
        ('{"retry": {"backoff_s": ["ZQXVALEUR"]}}', "retry.backoff_s.0"),
    ],
)
def test_a_fault_is_named_by_its_path_and_never_by_the_value(text, path):
    with pytest.raises(SettingsRefused) as refused:
        read_settings(text)
    assert path in [place for place, _ in refused.value.faults]
    assert path in str(refused.value)
    assert "ZQXVALEUR" not in str(refused.value) + repr(refused.value.faults)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("text", ["", "{", "ZQXVALEUR", b"\xff\xfe", "[]", "null"])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(SettingsRefused) as refused:
        read_settings(text)
    assert "ZQXVALEUR" not in str(refused.value)


def test_the_environment_names_what_the_function_was_given():
    found = environment(
        {"PFI_NAME": "ght", "PFI_QUEUE_PUSH": "https://q/push", "PFI_DLQ_PARSE": "https://q/dlq"}
    )
    assert (found.name, found.bucket) == ("ght", "")
    assert dict(found.queues) == {Step.PUSH: "https://q/push"}
    assert dict(found.dead_letters) == {Step.PARSE: "https://q/dlq"}


def test_a_lane_is_named_after_the_queue_of_push_and_its_dpi():
    told = {"PFI_QUEUE_PUSH": "https://q/pfi-push", "PFI_LANES": "chi,psy-2"}
    assert environment(told).lanes == {
        "chi": "https://q/pfi-push-chi",
        "psy-2": "https://q/pfi-push-psy-2",
    }
    assert environment({"PFI_LANES": "chi"}).lanes == {}


def test_a_worker_is_gone_a_moment_after_the_time_that_the_stack_gives_its_function():
    """Until then what it holds is its own; a function that is not told has the longest time."""
    assert Services(environment({"PFI_TIMEOUT_S": "20"})).life_s == 20 + STOPPING_S
    assert Services(environment({})).life_s == LIFE_S


def test_a_name_that_the_function_cannot_work_without_is_for_an_operator():
    assert needed("x") == "x"
    with pytest.raises(Misconfigured, match="PFI-EDGE-07"):
        needed("")
