"""What the platform relies on in the emulator, behaviour by behaviour: the gate of its upgrades.

What the ledger asks of DynamoDB is in `test_emulator_probe_ledger.py`.

The gaps we work around are here too: the day one closes, its test fails and the work-around goes.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.local.emulator import Emulator
from tests.contracts.emulator_fixture import Aws, eventually, queue_arn

if TYPE_CHECKING:
    from collections.abc import Iterator

# The longest a scheduled rule of one minute takes: the emulator looks every ten seconds.
SCHEDULE_SECONDS = 75

PARTIAL = """
import json
def handle(event, context):
    failed = [r["messageId"] for r in event["Records"] if r["body"] == "poison"]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""
CRASH = """
import os
def handle(event, context):
    os._exit(7)
"""
HANG = """
import time
def handle(event, context):
    time.sleep(60)
"""
WHAT_IT_SEES = """
import os
def handle(event, context):
    import aws_lambda_powertools, lxml.etree, pydantic
    return dict(os.environ)
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A fresh one, whatever other modules did to theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PFI_PROBE", "must not reach a function")
        running = Emulator(tmp_path_factory.mktemp("probe"))
        running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def aws(emulator: Emulator) -> Iterator[Aws]:
    with Aws(emulator.environment()) as clients:
        yield clients


@pytest.fixture(scope="module")
def bucket(aws: Aws) -> str:
    aws("s3").create_bucket(
        Bucket="mails", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )
    return "mails"


# --- S3


def test_an_object_comes_back_byte_for_byte(aws: Aws, bucket: str) -> None:
    content = bytes(range(256)) * 1500 + b"\r\n.\r\n\n\r"
    aws("s3").put_object(Bucket=bucket, Key="in/a", Body=content, Metadata={"mailbox": "bal-1"})
    found = aws("s3").get_object(Bucket=bucket, Key="in/a")
    with found["Body"] as body:
        assert body.read() == content
    assert found["Metadata"] == {"mailbox": "bal-1"}


def test_an_object_is_put_only_if_absent(aws: Aws, bucket: str) -> None:
    aws("s3").put_object(Bucket=bucket, Key="in/once", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        aws("s3").put_object(Bucket=bucket, Key="in/once", Body=b"second", IfNoneMatch="*")


def test_notifications_begin_with_a_test_event_and_quote_the_keys(aws: Aws) -> None:
    queue = aws.queue("arrivals")
    aws("s3").create_bucket(
        Bucket="drops", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )
    aws("s3").put_bucket_notification_configuration(
        Bucket="drops",
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": queue_arn(queue),
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
                }
            ]
        },
    )
    aws("s3").put_object(Bucket="drops", Key="elsewhere/x", Body=b"x")
    aws("s3").put_object(Bucket="drops", Key="in/é t+é.eml", Body=b"x")
    arrived: list[dict[str, Any]] = []

    def both_arrived() -> bool:
        arrived.extend(json.loads(message["Body"]) for message in aws.receive(queue, wait=0))
        return len(arrived) > 1

    assert eventually(both_arrived)
    time.sleep(0.2)
    both_arrived()
    first, second = arrived
    assert first["Event"] == "s3:TestEvent"
    assert second["Records"][0]["s3"]["object"]["key"] == "in/%C3%A9+t%2B%C3%A9.eml"


# --- SQS


def test_a_message_hides_for_its_visibility_and_counts_its_receives(aws: Aws) -> None:
    queue = aws.queue("visibility", VisibilityTimeout="1")
    aws("sqs").send_message(QueueUrl=queue, MessageBody="job")
    assert aws.receive(queue)[0]["Attributes"]["ApproximateReceiveCount"] == "1"
    assert aws.receive(queue, wait=0) == []
    again = eventually(lambda: aws.receive(queue, wait=0))
    assert again[0]["Attributes"]["ApproximateReceiveCount"] == "2"


def test_visibility_can_be_shortened_and_lengthened(aws: Aws) -> None:
    queue = aws.queue("back-off", VisibilityTimeout="1")
    aws("sqs").send_message(QueueUrl=queue, MessageBody="job")

    def hide(seconds: int) -> None:
        handle = aws.receive(queue)[0]["ReceiptHandle"]
        aws("sqs").change_message_visibility(
            QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=seconds
        )

    hide(0)
    hide(900)
    time.sleep(1.5)
    assert aws.receive(queue, wait=0) == []


def test_a_delayed_message_comes_late(aws: Aws) -> None:
    queue = aws.queue("delays")
    aws("sqs").send_message(QueueUrl=queue, MessageBody="job", DelaySeconds=1)
    assert aws.receive(queue, wait=0) == []
    assert eventually(lambda: aws.receive(queue, wait=0))


def test_too_many_receives_lead_to_the_dlq_with_attributes_kept(aws: Aws) -> None:
    queue, dlq = aws.queue_with_dlq("poisoned", receives=2, visibility=0)
    aws("sqs").send_message(
        QueueUrl=queue,
        MessageBody="job",
        MessageAttributes={"route": {"DataType": "String", "StringValue": "match"}},
    )
    for _ in range(3):
        aws.receive(queue, wait=0)
    dead = eventually(lambda: aws.receive(dlq, wait=0))[0]
    assert dead["Body"] == "job"
    assert dead["MessageAttributes"]["route"]["StringValue"] == "match"
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == queue_arn(queue)


def test_gap_the_emulator_does_not_move_messages_back_by_itself(aws: Aws) -> None:
    _, dlq = aws.queue_with_dlq("redriven")
    with pytest.raises(ClientError, match="InvalidAction"):
        aws("sqs").start_message_move_task(SourceArn=queue_arn(dlq))


# --- Lambda


def depths(aws: Aws, *queues: str) -> list[int]:
    """How many messages each queue holds, in flight or not."""
    found = []
    for queue in queues:
        given = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found.append(sum(int(given["Attributes"][name]) for name in names))
    return found


def test_one_poison_of_ten_goes_alone_to_the_dlq(aws: Aws) -> None:
    queue, dlq = aws.queue_with_dlq("partial")
    bodies = ["poison" if number == 4 else f"job {number}" for number in range(10)]
    aws("sqs").send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": str(rank), "MessageBody": body} for rank, body in enumerate(bodies)],
    )
    aws.consumer("partial", PARTIAL, queue)
    assert eventually(lambda: depths(aws, queue, dlq) == [0, 1])
    assert [dead["Body"] for dead in aws.receive(dlq)] == ["poison"]


def test_a_crashing_function_is_tried_again_then_its_message_goes_to_the_dlq(aws: Aws) -> None:
    queue, dlq = aws.queue_with_dlq("crash")
    aws("sqs").send_message(QueueUrl=queue, MessageBody="job")
    aws.consumer("crash", CRASH, queue)
    assert eventually(lambda: depths(aws, queue, dlq) == [0, 1])
    lines = aws("logs").filter_log_events(logGroupName="/aws/lambda/crash")["events"]
    assert sum(line["message"].startswith("START") for line in lines) == 2


def test_a_hanging_function_is_killed_then_its_message_goes_to_the_dlq(aws: Aws) -> None:
    queue, dlq = aws.queue_with_dlq("hang")
    aws("sqs").send_message(QueueUrl=queue, MessageBody="job")
    aws.consumer("hang", HANG, queue, timeout=1)
    assert eventually(lambda: depths(aws, queue, dlq) == [0, 1])


def test_a_paused_source_delivers_nothing_until_resumed(aws: Aws) -> None:
    queue, _ = aws.queue_with_dlq("paused")
    mapping = aws.consumer("paused", PARTIAL, queue)
    aws("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
    aws("sqs").send_message(QueueUrl=queue, MessageBody="job")
    time.sleep(2)
    assert depths(aws, queue) == [1]
    aws("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)
    assert eventually(lambda: depths(aws, queue) == [0])


def test_a_function_sees_our_packages_and_not_the_callers_environment(aws: Aws) -> None:
    aws.function("curious", WHAT_IT_SEES)
    answer = aws("lambda").invoke(FunctionName="curious", Payload=b"{}")
    with answer["Payload"] as payload:
        seen = json.loads(payload.read())
    assert "FunctionError" not in answer, seen
    assert seen["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert seen["AWS_REGION"] == "eu-west-3"
    assert "PFI_PROBE" not in seen


# --- settings and secrets


def test_a_parameter_is_read_alone_and_by_path(aws: Aws) -> None:
    aws("ssm").put_parameter(Name="/pfi/settings", Value='{"a": 1}', Type="String")
    assert (
        aws("ssm").get_parameter(Name="/pfi/settings", WithDecryption=True)["Parameter"]["Value"]
        == '{"a": 1}'
    )
    by_path = aws("ssm").get_parameters_by_path(Path="/pfi/", Recursive=True)["Parameters"]
    assert [one["Name"] for one in by_path] == ["/pfi/settings"]


def test_a_secret_is_read_by_name(aws: Aws) -> None:
    aws("secretsmanager").create_secret(Name="pfi/mailbox", SecretString="invented")
    found = aws("secretsmanager").get_secret_value(SecretId="pfi/mailbox")
    assert found["SecretString"] == "invented"


# --- alarms


def alarm(aws: Aws, name: str, topic: str, queue: str) -> None:
    aws("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Probe",
        MetricName="Depth",
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )


def depth(aws: Aws, queue: str, value: float) -> None:
    dimensions = [{"Name": "QueueName", "Value": queue}]
    datum = {"MetricName": "Depth", "Dimensions": dimensions, "Value": value}
    aws("cloudwatch").put_metric_data(Namespace="Probe", MetricData=[datum])


def state(aws: Aws, name: str) -> str:
    return str(
        aws("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]
    )


def test_a_figure_rings_the_alarm_and_the_alarm_reaches_a_queue(aws: Aws) -> None:
    topic = aws("sns").create_topic(Name="on-call")["TopicArn"]
    queue = aws.queue("on-call")
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(queue))
    alarm(aws, "rings", topic, "rings-dlq")
    depth(aws, "rings-dlq", 1)
    message = json.loads(eventually(lambda: aws.receive(queue))[0]["Body"])
    assert json.loads(message["Message"])["NewStateValue"] == "ALARM"


def test_an_alarm_looks_at_its_own_dimensions_only(aws: Aws) -> None:
    topic = aws("sns").create_topic(Name="unused")["TopicArn"]
    alarm(aws, "own", topic, "own-dlq")
    depth(aws, "own-dlq", 0)
    depth(aws, "a-busy-queue", 50)
    assert state(aws, "own") == "OK"


@pytest.mark.slow
def test_a_rule_of_every_minute_fires(schedule: tuple[Aws, str, float]) -> None:
    aws, queue, began = schedule
    left = began + SCHEDULE_SECONDS - time.monotonic()
    messages = eventually(lambda: aws.receive(queue), max(left, 1))
    assert json.loads(messages[0]["Body"])["detail-type"] == "Scheduled Event"


# --- CloudFormation


def test_an_unknown_resource_type_refuses_the_whole_template(aws: Aws) -> None:
    template = {"Resources": {"Gateway": {"Type": "AWS::EC2::NatGateway", "Properties": {}}}}
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        aws("cloudformation").create_stack(StackName="odd", TemplateBody=json.dumps(template))


def test_gap_a_function_without_code_is_not_noticed(aws: Aws) -> None:
    code = {"S3Bucket": "absent", "S3Key": "absent.zip"}
    given = {"Code": code, "Handler": "a.b", "Runtime": "python3.13", "Role": "arn:aws:iam::0:r"}
    template = {"Resources": {"Empty": {"Type": "AWS::Lambda::Function", "Properties": given}}}
    aws("cloudformation").create_stack(StackName="empty", TemplateBody=json.dumps(template))
    assert eventually(
        lambda: (
            aws("cloudformation").describe_stacks(StackName="empty")["Stacks"][0]["StackStatus"]
            == "CREATE_COMPLETE"
        )
    )


def test_gap_an_alarm_on_metric_math_fails_the_stack(aws: Aws) -> None:
    math = {
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "Metrics": [{"Id": "sum", "Expression": "1 + 1"}],
    }
    template = {"Resources": {"Math": {"Type": "AWS::CloudWatch::Alarm", "Properties": math}}}
    aws("cloudformation").create_stack(StackName="math", TemplateBody=json.dumps(template))
    events = eventually(
        lambda: [
            event["ResourceStatusReason"]
            for event in aws("cloudformation").describe_stack_events(StackName="math")[
                "StackEvents"
            ]
            if event["ResourceStatus"] == "CREATE_FAILED" and "Reason" in str(event)
        ]
    )
    assert "metric math" in " ".join(events)
