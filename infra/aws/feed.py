"""The feed stack (AWS only, and only with a domain): the door for identity messages.

The one thing of the installation that is open from outside. Nobody gets as far as the function
without a certificate of the truststore's authorities; which feed a certificate is, the function
decides by the settings. API Gateway's own address is closed, because it knows no mutual TLS.
"""

import json
from typing import Final

from aws_cdk import Aws, CfnOutput, Environment, Stack, aws_apigatewayv2, aws_kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.aws.endpoint import EndpointPlan
from infra.aws.explained import explain
from infra.aws.fixed import fixed
from infra.aws.names import Deployment
from infra.aws.traces import log_group

PER_SECOND: Final = 50
AT_ONCE: Final = 20
"""Above either API Gateway answers 429, and the sender comes again."""
_TOLD: Final = (
    "requestId", "requestTime", "protocol", "status", "responseLength", "integrationLatency",
)  # fmt: skip
"""Of each request: nothing of its body, its headers or its sender's person."""


class FeedStack(Stack):
    """An HTTP API with one route, behind a domain with mutual TLS."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        place: Deployment,
        endpoint: EndpointPlan,
        function: lambda_.IFunction,
        key: aws_kms.IKey,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{place.name}-feed",
            description="PFI: HTTPS endpoint of the identity feed",
            env=Environment(region=place.region),
            termination_protection=True,
        )
        self._name = f"{place.name}-feed"
        api = fixed(
            aws_apigatewayv2.CfnApi(
                self, "Api", name=self._name, protocol_type="HTTP",
                disable_execute_api_endpoint=True,
            ),
            "FeedApi",
        )  # fmt: skip
        self._route(api.ref, function)
        logs = log_group(self, "Requests", f"/aws/vendedlogs/{self._name}", place, key)
        stage = self._stage(api.ref, logs.log_group_arn)
        self._domain(endpoint, api.ref, stage)

    def _route(self, api: str, function: lambda_.IFunction) -> None:
        """The whole path: any other is API Gateway's to refuse, and calls nothing."""
        integration = aws_apigatewayv2.CfnIntegration(
            self,
            "Integration",
            api_id=api,
            integration_type="AWS_PROXY",
            integration_uri=function.function_arn,
            payload_format_version="2.0",
            timeout_in_millis=29_000,
        )
        route = aws_apigatewayv2.CfnRoute(
            self,
            "Route",
            api_id=api,
            route_key="POST /",
            authorization_type="NONE",
            target=f"integrations/{integration.ref}",
        )
        explain(
            route,
            "AwsSolutions-APIG4",
            "Mutual TLS of the domain lets nobody in without a certificate of the truststore, and "
            "the function compares its fingerprint with the settings of each feed.",
        )
        lambda_.CfnPermission(
            self,
            "Permission",
            action="lambda:InvokeFunction",
            function_name=function.function_arn,
            principal="apigateway.amazonaws.com",
            source_account=Aws.ACCOUNT_ID,
            source_arn=self.format_arn(
                service="execute-api", resource=api, resource_name="*/POST/"
            ),
        )

    def _stage(self, api: str, logs: str) -> aws_apigatewayv2.CfnStage:
        return aws_apigatewayv2.CfnStage(
            self,
            "Stage",
            api_id=api,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=aws_apigatewayv2.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=PER_SECOND, throttling_burst_limit=AT_ONCE
            ),
            access_log_settings=aws_apigatewayv2.CfnStage.AccessLogSettingsProperty(
                destination_arn=logs,
                format=json.dumps({each: f"$context.{each}" for each in _TOLD}),
            ),
        )

    def _domain(self, plan: EndpointPlan, api: str, stage: aws_apigatewayv2.CfnStage) -> None:
        kind = aws_apigatewayv2.CfnDomainName
        domain = fixed(
            kind(
                self,
                "Domain",
                domain_name=plan.domain,
                domain_name_configurations=[
                    kind.DomainNameConfigurationProperty(
                        certificate_arn=plan.certificate,
                        endpoint_type="REGIONAL",
                        security_policy="TLS_1_2",
                    )
                ],
                mutual_tls_authentication=kind.MutualTlsAuthenticationProperty(
                    truststore_uri=plan.truststore, truststore_version=plan.version or None
                ),
            ),
            "FeedDomain",
        )
        aws_apigatewayv2.CfnApiMapping(
            self, "Mapping", api_id=api, domain_name=domain.ref, stage=stage.ref
        )
        CfnOutput(self, "FeedUrl", value=f"https://{plan.domain}/")
        CfnOutput(self, "FeedDnsTarget", value=domain.attr_regional_domain_name)
