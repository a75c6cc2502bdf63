"""How many AWS calls one mail costs on the straight path: one document of level 1, a qualified
patient, no acknowledgement asked, a DPI that answers AA.

The handlers of the stack run in this process against the emulator, each with clients of its own,
and botocore tells of every call. Counted is what the functions call, over all of them; not what
stands outside a mail: a poll of an empty mailbox, the settings and the secrets (once a minute in
each sandbox), and the queues that Lambda polls by itself. Mailbox and DPI are doubles: no AWS.
"""

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module

import pytest

from pfi.adapters.patients import DynamoPatients
from pfi.edge import lambdas
from pfi.edge.settings import Environment, dump_settings
from pfi.edge.wiring import Services
from pfi.journey.ledger import Ledger
from pfi.journey.ports import Dpi, Mailbox, Relay
from pfi.journey.records import MailState
from pfi.names import Route, Step
from tests.contracts.emulator_fixture import aws, emulator  # noqa: F401 - fixtures
from tests.contracts.test_ports import new_table
from tests.data.builders import LEA, document, mail, xdm_zip
from tests.doubles.drive import HOSPITAL
from tests.doubles.memory import MemoryDpi, MemoryMailbox, MemoryRelay
from tests.unit.edge.cold import CLIENTS
from tests.unit.edge.records import Context, arrival, message

BUDGET = 12
PATIENTS = "patient base"
_SUBJECTS = ("TableName", "Key", "QueueUrl", "Bucket")
STRAIGHT_MAIL = mail(xdm_zip([document(LEA)]), mdn=False)
ASKING_MAIL = mail(
    xdm_zip([document(LEA, document_id=("2.25.77", "B"), set_id="2.25.78")]),
    message_id="<20260514.0932.b2@labo-invente.mssante.fr>",
)
STRAIGHT = (Step.COLLECT, Step.PARSE, Step.MATCH, Step.PUSH, Step.FORWARD)


@dataclass
class Call:
    """One call of AWS."""

    service: str
    action: str
    about: str

    def __str__(self) -> str:
        return f"{self.service}:{self.action} {self.about}"


@dataclass
class Watched(Services):
    """The ports of one function, its calls and the clients that it made."""

    calls: list[Call] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    inbox: MemoryMailbox = field(default_factory=MemoryMailbox)

    def __post_init__(self) -> None:
        make = self._session.client

        def client(service, **options):
            self.made.append(service)
            return make(service, **options)

        self._session.client = client
        self._session.events.register("before-parameter-build", self._called)

    def _called(self, params, model, **_):
        names = {self.names.ledger_table: "ledger", self.names.patients_table: PATIENTS}
        about = next((params[name] for name in _SUBJECTS if name in params), "")
        if "TransactItems" in params:
            about = f"{len(params['TransactItems'])} rows"
        told = names.get(about) or about.rpartition("/")[2]
        self.calls.append(Call(model.service_model.service_name, model.name, told))

    @contextmanager
    def mailbox(self, _mailbox) -> Iterator[Mailbox]:
        yield self.inbox

    def dpi(self, _target) -> Dpi:
        return MemoryDpi()

    def relay(self, _mailbox) -> Relay:
        return MemoryRelay()


class Stack:
    """What the stack gives to its functions, on the emulator."""

    def __init__(self, clients):
        self.clients, self.announced, name = clients, set(), f"b{uuid.uuid4().hex}"
        place = {"LocationConstraint": "eu-west-3"}
        clients("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
        self.queues = {step: clients.queue(f"{name}-{step.value}") for step in Step}
        text = dump_settings(HOSPITAL)
        clients("ssm").put_parameter(Name=f"/{name}/settings", Value=text, Type="String")
        self.names = Environment(
            name="pfi",
            bucket=name,
            ledger_table=new_table(clients),
            patients_table=new_table(clients),
            settings_parameter=f"/{name}/settings",
            secret_mssante="mssante",
            secret_dpi="dpi",
            queues=self.queues,
            dead_letters={},
        )
        DynamoPatients(clients("dynamodb"), self.names.patients_table).put("ch", (LEA.record,))
        self.steps = {step: Watched(self.names) for step in STRAIGHT}
        for ports in self.steps.values():
            assert ports.settings == HOSPITAL  # once a minute, not once a mail
            ports.calls.clear()

    def run(self, step, monkeypatch, body=""):
        """One invocation of the function of a step; its calls."""
        ports = self.steps[step]
        ports.calls.clear()
        monkeypatch.setattr(lambdas, "services", lambda: ports)
        event = {"Records": [message(body, queue=f"pfi-{step.value}")]}
        answer = import_module(f"functions.{step.value}.handler").handler(event, Context())
        assert answer in (None, {"batchItemFailures": []})
        return list(ports.calls)

    def next_job(self, step):
        """What brings a mail to a step: the job in its queue, to `match` else the event of what
        `parse` stored; None when the mail does not come by at all."""
        found = self.clients.receive(self.queues[step], wait=0)
        if found:
            [only] = found
            self.clients("sqs").delete_message(
                QueueUrl=self.queues[step], ReceiptHandle=only["ReceiptHandle"]
            )
            return only["Body"]
        return self.stored("documents/") if step is Step.MATCH else None

    def stored(self, prefix):
        """The S3 event about the mail, or about the dossier, that was stored last."""
        listed = self.clients("s3").list_objects_v2(Bucket=self.names.bucket, Prefix=prefix)
        found = [each["Key"] for each in listed["Contents"] if not each["Key"].endswith(".xml")]
        [key] = [each for each in found if each not in self.announced]
        self.announced.add(key)
        return arrival(key)

    def carry(self, raw, monkeypatch):
        """A mail from its mailbox to its end; the calls of each step."""
        collect = self.steps[Step.COLLECT]
        self.run(Step.COLLECT, monkeypatch)
        empty = self.run(Step.COLLECT, monkeypatch)
        collect.inbox.deliver(raw)
        calls = {Step.COLLECT: beyond(empty, self.run(Step.COLLECT, monkeypatch))}
        calls[Step.PARSE] = self.run(Step.PARSE, monkeypatch, self.stored("incoming/"))
        for step in (Step.MATCH, Step.PUSH, Step.FORWARD):
            job = self.next_job(step)
            calls[step] = self.run(step, monkeypatch, job) if job else []
        return calls


def beyond(empty, found):
    """The calls of a poll that one of an empty mailbox does not make."""
    left, more = list(empty), []
    for call in found:
        if call in left:
            left.remove(call)
        else:
            more.append(call)
    assert left == [], "a poll that finds a mail makes all calls of one that finds none"
    return more


def table(calls):
    lines = [f"{sum(map(len, calls.values()))} calls, {BUDGET} are allowed"]
    for step, made in calls.items():
        lines.append(f"{step.value}: {len(made)}")
        lines += [f"    {call}" for call in made]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def carried(emulator, aws):  # noqa: F811 - a fixture
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        stack = Stack(aws)
        calls = stack.carry(STRAIGHT_MAIL, patch)
        stack.carry(ASKING_MAIL, patch)  # so that `forward` has something to do
        yield stack, calls
        for ports in stack.steps.values():
            close(ports)


def close(ports):
    """An open socket is a failed test here."""
    for client in (ports._parameters, ports.table, ports.store, ports.jobs):
        client.client.close()


def test_the_mail_went_the_straight_path(carried):
    stack, calls = carried
    ports = stack.steps[Step.FORWARD]
    for raw in (STRAIGHT_MAIL, ASKING_MAIL):
        known = Ledger(ports.table, ports.now).mail(hashlib.sha256(raw).hexdigest())
        assert (known.record.state, known.record.route) == (MailState.SETTLED, Route.INTEGRATED)
    assert all(calls[step] for step in STRAIGHT if step is not Step.FORWARD)
    for step in STRAIGHT:
        assert stack.clients.receive(stack.queues[step], wait=0) == []


def test_a_mail_costs_no_more_calls_than_its_budget(carried):
    _, calls = carried
    assert sum(map(len, calls.values())) <= BUDGET, table(calls)


def test_a_match_looks_once_into_the_patient_base(carried):
    _, calls = carried
    looked = [call for made in calls.values() for call in made if call.about == PATIENTS]
    assert [call.action for call in looked] == ["Query"], table(calls)


@pytest.mark.parametrize("step", STRAIGHT)
def test_a_step_makes_the_clients_of_its_cold_start_and_no_other(carried, step):
    """Secrets aside: mailbox, relay and DPI would ask for them, and are doubles here."""
    stack, _ = carried
    made = stack.steps[step].made
    assert sorted(made) == sorted(CLIENTS[step.value] - {"secretsmanager"})
