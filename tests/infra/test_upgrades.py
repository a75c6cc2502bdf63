"""An upgrade replaces nothing that holds something."""

import copy
import json

from tests.infra.stateful import REPLACING, SNAPSHOT, stateful


def lost(before: dict, after: dict) -> set[str]:
    """What a deployment from one state to the other would replace or remove."""
    return {
        f"{stack}/{name}"
        for stack, resources in before.items()
        for name, each in resources.items()
        if after.get(stack, {}).get(name) != each
    }


def test_no_upgrade_replaces_what_holds_something(aws):
    assert lost(json.loads(SNAPSHOT.read_text()), stateful(aws)) == set()


def test_the_snapshot_knows_what_is_new(aws):
    assert json.loads(SNAPSHOT.read_text()) == stateful(aws)


def test_a_renamed_queue_a_moved_id_and_another_key_are_noticed(aws):
    before = stateful(aws)
    after = copy.deepcopy(before)
    after["Pfi"]["PushQueue"]["QueueName"] = "pfi-push-2"
    after["Pfi"]["Mails2"] = after["Pfi"].pop("Mails")
    after["Pfi"]["Ledger"]["KeySchema"][0]["AttributeName"] = "id"
    assert lost(before, after) == {"Pfi/PushQueue", "Pfi/Mails", "Pfi/Ledger"}


def test_every_type_that_outlives_its_stack_is_watched(aws):
    for stack in aws.stacks:
        for name, each in aws.other(stack).template["Resources"].items():
            if each.get("DeletionPolicy", "Delete") != "Delete":
                assert each["Type"] in REPLACING, name
