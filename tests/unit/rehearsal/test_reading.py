"""A rehearsal can only read: what it holds has no other verb, and the account refuses the rest."""

from argparse import Namespace
from types import FunctionType, MethodType, ModuleType

import pytest

from infra.cli.rehearse import base_of, source_of
from infra.local.hospital import DEMO_FALLBACK, DEMO_MAILBOX, settings_of
from infra.operations.account import OperationRefused, Stack
from infra.rehearsal.reading import ReadingAccount
from infra.rehearsal.sources import Folder, Mailboxes, Period, Sample
from infra.rehearsal.trial import Trial
from pfi.adapters.csv_patients import ListedPatients
from pfi.adapters.imap import ImapMailbox, ImapReader
from pfi.adapters.patients import DynamoLookup, DynamoPatients
from pfi.adapters.s3 import S3Reader, S3Store
from pfi.names import Environment
from tests.data.builders import LEA, document, mail, xdm_zip

SETTINGS = settings_of(Environment.TEST, DEMO_MAILBOX, DEMO_FALLBACK)
OUTPUTS = {"BucketName": "courriels", "PatientsTable": "patients", "LedgerTable": "registre"}
ABILITIES = (
    *("send", "write", "put", "move", "delete", "store", "append", "copy", "exchange", "to"),
    *("note", "publish", "invoke", "record", "update", "install", "redrive", "apply"),
)
"""First words of the names of verbs that leave something behind: all of the ports, and more."""


@pytest.fixture
def stack():
    """An installation that nobody answers for: no call may get as far as a socket."""
    with ReadingAccount({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}) as account:
        yield Stack(account, "pfi", OUTPUTS)


def _options(**given):
    usual = {"mails": None, "imap": False, "first": None, "last": None, "mailbox": None}
    more = {"patients": None, "certificate": None, "imap_folder": "INBOX"}
    return Namespace(**{**usual, **more, **given})


def _reachable(thing):
    """Every object of ours that can be had from this one, over fields, cells and bound methods."""
    seen, todo = {}, [thing]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, (str, bytes, int, type, ModuleType)):
            continue
        seen[id(each)] = each
        todo += _held(each)
    return [each for each in seen.values() if _ours(each)]


def _held(each):
    if isinstance(each, dict):
        return [*each.keys(), *each.values()]
    if isinstance(each, (list, tuple, set, frozenset)):
        return list(each)
    if isinstance(each, MethodType):
        return [each.__self__, each.__func__]
    if isinstance(each, FunctionType):
        return [cell.cell_contents for cell in each.__closure__ or ()]
    if not _ours(each):
        return []
    slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
    return [getattr(each, name) for name in (*slots, *getattr(each, "__dict__", ()))]


def _ours(each):
    return type(each).__module__.startswith(("pfi.", "infra.", "functions."))


def _abilities(thing):
    """Public callables of our own objects whose names say that they leave something behind."""
    return {
        f"{type(each).__name__}.{name}"
        for each in _reachable(thing)
        for name in dir(each)
        if name.split("_")[0] in ABILITIES and callable(getattr(each, name))
    }


def test_the_walk_finds_the_abilities_of_what_a_rehearsal_must_not_have(stack):
    client = stack.client("s3")
    base = DynamoPatients(client, "y")
    found = _abilities([S3Store(client, "x"), lambda: base])
    assert {"S3Store.put_mail", "DynamoPatients.write", "DynamoPatients.put"} <= found
    box = ImapMailbox(None, frozenset(), 1)
    assert _abilities(MethodType(lambda self: None, box)) == {"ImapMailbox.move"}


@pytest.mark.parametrize("given", [{}, {"imap": True}])
def test_nothing_that_a_rehearsal_on_an_installation_holds_can_leave_anything_behind(stack, given):
    source = source_of(_options(**given), stack, SETTINGS)
    trial = Trial("a", SETTINGS, base_of(_options(), stack))
    assert {type(each) for each in (source, trial.patients)} in (
        {Period, DynamoLookup}, {Mailboxes, DynamoLookup},
    )  # fmt: skip
    assert _abilities((source, trial)) == set()


def test_nor_can_an_open_mailbox_or_a_folder(tmp_path):
    assert _abilities((ImapReader(None, frozenset(), 1), Folder(tmp_path))) == set()


def test_nor_can_what_is_left_after_a_mail(tmp_path):
    trial = Trial("a", SETTINGS, ListedPatients([LEA.record]))
    source = Folder(tmp_path)
    (tmp_path / "a.eml").write_bytes(mail(xdm_zip([document(LEA)])))
    for sample in source.samples():
        trial.take(sample)
    assert [each.route for each in trial.lines] == ["integrated"]
    assert _abilities(trial) == set()


CALLS = [
    ("s3", "put_object", {"Bucket": "b", "Key": "k"}),
    ("s3", "delete_object", {"Bucket": "b", "Key": "k"}),
    ("s3", "copy_object", {"Bucket": "b", "Key": "k", "CopySource": "b/k"}),
    ("dynamodb", "put_item", {"TableName": "t", "Item": {}}),
    ("dynamodb", "update_item", {"TableName": "t", "Key": {}}),
    ("dynamodb", "transact_write_items", {"TransactItems": [{}]}),
    ("dynamodb", "batch_write_item", {"RequestItems": {"t": [{}]}}),
    ("sqs", "send_message", {"QueueUrl": "http://127.0.0.1:9/q", "MessageBody": "x"}),
    ("sqs", "receive_message", {"QueueUrl": "http://127.0.0.1:9/q"}),
    ("ssm", "put_parameter", {"Name": "n", "Value": "v"}),
    ("secretsmanager", "put_secret_value", {"SecretId": "secret", "SecretString": "v"}),
    ("lambda", "invoke", {"FunctionName": "f"}),
    ("sns", "publish", {"TopicArn": "a", "Message": "m"}),
]


@pytest.mark.parametrize(("service", "operation", "words"), CALLS, ids=[c[1] for c in CALLS])
def test_the_account_refuses_what_is_no_reading_before_it_leaves(stack, service, operation, words):
    with pytest.raises(OperationRefused, match="ne fait que lire"):
        getattr(stack.client(service), operation)(**words)


class Writing:
    """A patient base that somebody wired by mistake."""

    def __init__(self, client):
        self.client = client

    def find(self, establishment, matricule, oid):
        self.client.put_item(TableName="t", Item={})

    def get(self, establishment, ipp):
        return None


def test_a_refused_write_ends_the_run_it_does_not_become_a_line(stack):
    trial = Trial("a", SETTINGS, Writing(stack.client("dynamodb")))
    sample = Sample("a.eml", mail(xdm_zip([document(LEA)])))
    with pytest.raises(OperationRefused):
        trial.take(sample)


def test_what_reads_has_no_verb_of_what_writes():
    for reader, writer in (
        (S3Reader, S3Store), (DynamoLookup, DynamoPatients), (ImapReader, ImapMailbox),
    ):  # fmt: skip
        assert issubclass(writer, reader)
        assert not [name for name in dir(reader) if name.split("_")[0] in ABILITIES]
