"""Role × action × resource, asked of IAM itself: the deployed policies, their ARNs resolved.

The emulator's `SimulatePrincipalPolicy` answers for the core stack. The expected table is written
by hand here, so that it cannot follow a mistake of the templates.
"""

import boto3
import pytest

from infra.aws.names import STEPS
from infra.local.aws import arguments
from infra.local.emulator import ACCOUNT, REGION, Emulator
from infra.local.fast_deploy import fast_deploy

pytestmark = pytest.mark.filterwarnings("ignore")

MAIL, DOCUMENT, LIST = "incoming/a/b.eml", "documents/b/a/dossier.json", "trust/c.crl"
WORK = ("sqs:ReceiveMessage", "sqs:DeleteMessage")

EXPECTED: dict[tuple[str, str], set[str]] = {
    ("s3:GetObject", MAIL): {"parse", "forward", "retain"},
    ("s3:GetObject", DOCUMENT): {"match", "push", "forward", "retain"},
    ("s3:GetObject", LIST): {"collect", "push", "forward", "certificates"},
    ("s3:PutObject", MAIL): {"collect", "retain"},
    ("s3:PutObject", DOCUMENT): {"parse", "retain"},
    ("s3:PutObject", LIST): {"certificates"},
    ("s3:DeleteObject", MAIL): set(),
    ("s3:PutObjectTagging", MAIL): set(),
    ("dynamodb:UpdateItem", "Ledger"): set(STEPS) - {"certificates", "prove", "retain", "load"},
    ("dynamodb:DeleteItem", "Ledger"): set(),
    ("dynamodb:Scan", "Ledger"): set(),
    ("dynamodb:Query", "Patients"): {"match", "push", "feed", "load", "prove"},
    ("dynamodb:PutItem", "Patients"): {"feed", "load"},
    ("dynamodb:Scan", "Patients"): set(),
    ("secretsmanager:GetSecretValue", "mssante"): {"collect", "forward", "certificates"},
    ("secretsmanager:GetSecretValue", "dpi"): {"push", "certificates"},
    ("secretsmanager:PutSecretValue", "mssante"): {"certificates"},
    ("secretsmanager:DeleteSecret", "mssante"): set(),
    ("ssm:GetParameter", "settings"): set(STEPS),
    ("ssm:PutParameter", "settings"): set(),
    ("sqs:SendMessage", "parse"): set(),
    ("sqs:SendMessage", "match"): {"parse", "match"},
    ("sqs:SendMessage", "push"): {"parse", "match", "push"},
    ("sqs:SendMessage", "forward"): {"parse", "match", "push"},
    ("sqs:SendMessage", "parse-dlq"): {"collect", "parse"},
    ("sqs:SendMessage", "match-dlq"): {"match"},
    ("sqs:SendMessage", "push-dlq"): {"push"},
    ("sqs:SendMessage", "forward-dlq"): {"parse", "forward"},
    **{(action, step): {step} for action in WORK for step in ("parse", "match", "push", "forward")},
    **{
        (action, f"{step}-dlq"): {"review"}
        for action in WORK
        for step in ("parse", "match", "push", "forward")
    },
    ("sqs:PurgeQueue", "push"): set(),
    ("kms:ScheduleKeyDeletion", "*"): set(),
    ("iam:PassRole", "*"): set(),
    ("lambda:UpdateFunctionCode", "*"): set(),
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory, local):
    """IAM, the outputs of the stack, and the role of each step."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        environment = emulator.environment()
        outputs = fast_deploy(environment, local.folder, "Pfi")
        iam, functions = (boto3.client(s, **arguments(environment)) for s in ("iam", "lambda"))
        roles = {
            step: functions.get_function_configuration(FunctionName=f"pfi-{step}")["Role"]
            for step in STEPS
        }
        yield iam, outputs, roles
        iam.close()
        functions.close()


def arn(action: str, name: str, outputs: dict[str, str]) -> str:
    """The resource of a line of the table."""
    service = action.partition(":")[0]
    place = f"{REGION}:{ACCOUNT}"
    tables = {"Ledger": outputs["LedgerTable"], "Patients": outputs["PatientsTable"]}
    return {
        "s3": f"arn:aws:s3:::{outputs['BucketName']}/{name}",
        "dynamodb": f"arn:aws:dynamodb:{place}:table/{tables.get(name)}",
        "secretsmanager": f"arn:aws:secretsmanager:{place}:secret:pfi/{name}-a1B2c3",
        "ssm": f"arn:aws:ssm:{place}:parameter/pfi/settings",
        "sqs": f"arn:aws:sqs:{place}:pfi-{name}",
    }.get(service, "*")


@pytest.mark.parametrize(("action", "name"), EXPECTED, ids=lambda each: str(each).replace("/", "_"))
def test_who_may_do_this(deployed, action, name):
    iam, outputs, roles = deployed
    may = set()
    for step, role in roles.items():
        [answer] = iam.simulate_principal_policy(
            PolicySourceArn=role, ActionNames=[action], ResourceArns=[arn(action, name, outputs)]
        )["EvaluationResults"]
        if answer["EvalDecision"] == "allowed":
            may.add(step)
    assert may == EXPECTED[(action, name)]
