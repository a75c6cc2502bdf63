"""The feed stack: one door, shut to whoever has no certificate."""

import json

import pytest

from infra.aws.context import deployment
from infra.aws.refused import RefusedContextError
from tests.infra.conftest import PUBLIC


@pytest.fixture
def feed(public):
    return public.other("PfiFeed")


def one(stack, kind):
    [found] = stack.all(f"AWS::ApiGatewayV2::{kind}").values()
    return found


def test_the_domain_asks_every_client_for_a_certificate_of_the_truststore(feed):
    domain = one(feed, "DomainName")
    assert domain["MutualTlsAuthentication"] == {"TruststoreUri": PUBLIC["feed_truststore"]}
    [configuration] = domain["DomainNameConfigurations"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"
    assert configuration["CertificateArn"] == PUBLIC["feed_certificate"]


def test_the_address_of_api_gateway_itself_is_shut(feed):
    assert one(feed, "Api")["DisableExecuteApiEndpoint"] is True


def test_there_is_one_route_and_it_calls_the_feed(feed):
    assert one(feed, "Route")["RouteKey"] == "POST /"
    integration = one(feed, "Integration")
    assert integration["PayloadFormatVersion"] == "2.0"
    assert "Feed" in json.dumps(integration["IntegrationUri"])
    [permission] = feed.all("AWS::Lambda::Permission").values()
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert "FeedApi" in json.dumps(permission["SourceArn"])


def test_a_flood_is_stopped_before_the_function(feed, public):
    limits = one(feed, "Stage")["DefaultRouteSettings"]
    assert limits == {"ThrottlingBurstLimit": 20, "ThrottlingRateLimit": 50}
    assert public.function("feed")["ReservedConcurrentExecutions"] == 5


def test_the_function_answers_before_api_gateway_gives_up(feed, public):
    limit = one(feed, "Integration")["TimeoutInMillis"] / 1000
    assert public.function("feed")["Timeout"] < limit < 30


def test_the_requests_are_logged_without_body_header_or_address(feed):
    told = json.loads(one(feed, "Stage")["AccessLogSettings"]["Format"])
    assert set(told) == {
        "requestId", "requestTime", "protocol", "status", "responseLength", "integrationLatency",
    }  # fmt: skip
    assert told == {each: f"$context.{each}" for each in told}
    [group] = feed.all("AWS::Logs::LogGroup").values()
    assert group["LogGroupName"] == "/aws/vendedlogs/pfi-test-feed"
    assert (group["RetentionInDays"], "KmsKeyId" in group) == (180, True)


def test_logs_may_encrypt_what_the_door_tells(public):
    statements = public.all("AWS::KMS::Key")["FlowKey"]["KeyPolicy"]["Statement"]
    assert "/aws/vendedlogs/pfi-test-*" in json.dumps(statements)


def test_without_a_domain_there_is_no_door(aws, local):
    assert "PfiFeed" not in [*aws.stacks, *local.stacks]


def test_messages_that_wait_for_a_person_expire_like_mails(aws):
    rules = aws.all("AWS::S3::Bucket")["Mails"]["LifecycleConfiguration"]["Rules"]
    days = {each.get("Prefix"): each.get("ExpirationInDays") for each in rules}
    assert days["feed/"] == days["incoming/"] == 30


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("feed_domain", "http://x"),
        ("feed_certificate", "arn:aws:iam::1:server-certificate/x"),
        ("feed_truststore", "truststore.pem"),
        ("feed_truststore", ""),
    ],
)
def test_a_door_that_cannot_be_is_refused_by_its_key(key, value):
    given = {name: each for name, each in PUBLIC.items() if name.startswith("feed_")}
    with pytest.raises(RefusedContextError, match=f"^{key}: "):
        deployment(given | {key: value})
