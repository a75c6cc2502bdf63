"""One step of the journey: its queue, its dead-letter queue, its function and their alarms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from aws_cdk import Aws, Duration, Stack, aws_events, aws_iam, aws_kms
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.aws import access
from infra.aws.access import Grant
from infra.aws.explained import explain
from infra.aws.fixed import cfn, fixed
from infra.aws.names import CLOCKED, METRICS_NAMESPACE, STEPS, Deployment, Lane
from infra.aws.network import Reach
from infra.aws.observability import Alarms, Watch, metric
from infra.aws.retention import QUEUE_DAYS
from infra.aws.traces import log_group


@dataclass(frozen=True, slots=True)
class Code:
    """What all functions share: one zip of handlers, and the layers below it."""

    handlers: lambda_.Code
    layers: tuple[lambda_.LayerVersion, ...]
    runtime: lambda_.Runtime
    architecture: lambda_.Architecture


@dataclass(frozen=True, slots=True)
class Site:
    """What every step needs to know of the place it is built in."""

    place: Deployment
    code: Code
    key: aws_kms.Key
    alarms: Alarms
    reach: Mapping[str, Reach]
    """The functions that stand in a VPC, and where; none of them in the emulator."""


class Step(Construct):
    """A function named after its step; with `receives` in its figures, also its two queues."""

    def __init__(self, scope: Construct, step: str, site: Site) -> None:
        super().__init__(scope, step.capitalize())
        self.step = step
        self.figures = STEPS[step]
        self._site = site
        self._logs = log_group(
            self, "Logs", f"/aws/lambda/{site.place.name}-{step}", site.place, site.key
        )
        self._role = self._minimal_role()
        self.function = self._function()
        self._queues: tuple[sqs.Queue, sqs.Queue] | None = None
        self.lanes: dict[str, sqs.Queue] = {}
        """Queues that one DPI has for itself, beside the queue of the step."""
        if self.figures.receives:
            self._queues = self._two_queues(self.figures.receives)
            if self.figures.one_by_one:
                self.lanes = {lane.dpi: self._lane(lane) for lane in site.place.lanes}
            self._watch_queues()
            batch = 1 if self.figures.one_by_one else self.figures.batch
            for queue, cap in zip(self.queues(), site.place.pollers(step), strict=True):
                self.receive(queue, batch=batch, cap=cap)
            # The address of its own queue: a failed message gets its back-off there.
            self.use(Grant({f"PFI_QUEUE_{step.upper()}": self.queue.queue_url}))
            if self.figures.one_by_one:
                self.use(self.door())  # a job that must wait for its turn is handed back
        if step in site.reach:
            self._stand_in_vpc(site.reach[step])
        self._watch_function()

    @property
    def queue(self) -> sqs.Queue:
        """Where the jobs of this step arrive."""
        return self._own_queues()[0]

    @property
    def dead_letters(self) -> sqs.Queue:
        """Where they end when nothing helped."""
        return self._own_queues()[1]

    def use(self, *grants: Grant) -> None:
        """Tell the function the names, and let it do what comes with them."""
        for grant in grants:
            for variable, value in grant.environment.items():
                self.function.add_environment(variable, value)
            for statement in grant.statements:
                self.function.add_to_role_policy(statement)
            for rule, reason in grant.accepted.items():
                explain(self._role, rule, reason)

    def door(self) -> Grant:
        """The right to put a job into this step's queue."""
        variable = f"PFI_QUEUE_{self.step.upper()}"
        return access.send_to(variable, self.queue, self._site.key, self.lanes)

    def give_up(self) -> Grant:
        """The right to send a job straight to the dead-letter queue (it can never succeed)."""
        return access.send_to(self._dead_letters_variable, self.dead_letters, self._site.key, {})

    def counting(self) -> list[Grant]:
        """The right to count the jobs of this step, given up ones included."""
        variable = f"PFI_QUEUE_{self.step.upper()}"
        own = access.count(variable, self.queue, self.lanes)
        return [own, access.count(self._dead_letters_variable, self.dead_letters, {})]

    def name_of_dead_letters(self) -> Grant:
        """Only the name: `review` tells by it which step a dead message comes from."""
        return Grant({self._dead_letters_variable: self.dead_letters.queue_url})

    @property
    def _dead_letters_variable(self) -> str:
        return f"PFI_DLQ_{self.step.upper()}"

    def queues(self) -> list[sqs.Queue]:
        """Where its jobs arrive: the queue of the step, then its lanes."""
        return [self.queue, *self.lanes.values()]

    def receive(self, queue: sqs.Queue, *, batch: int, cap: int) -> None:
        """Poll a queue. Concurrency is capped here: 2 is the least that SQS accepts."""
        self.use(access.consume(queue, self._site.key))
        self.function.add_event_source_mapping(
            f"From{queue.node.id}{queue.node.scope.node.id if queue.node.scope else ''}",
            event_source_arn=queue.queue_arn,
            batch_size=batch,
            max_concurrency=cap,
            report_batch_item_failures=True,
        )

    def every_minute(self, *, enabled: bool) -> None:
        """Run on a clock. The next tick is the retry: a late or failed call is not repeated."""
        self._on_clock("EveryMinute", Duration.minutes(1), retries=0, enabled=enabled)

    def every_hour(self) -> None:
        """The next tick is the retry: what one run proves, the next one proves anew."""
        self._on_clock("EveryHour", Duration.hours(1), retries=0, enabled=True)

    def every_day(self) -> None:
        """Once a day, and twice again within the hour when it fails."""
        self._on_clock("EveryDay", Duration.days(1), retries=2, enabled=True)

    def _on_clock(self, rule: str, rate: Duration, *, retries: int, enabled: bool) -> None:
        late = Duration.minutes(60 if retries else 1)
        self.function.configure_async_invoke(retry_attempts=retries, max_event_age=late)
        aws_events.Rule(
            self,
            rule,
            rule_name=f"{self._site.place.name}-{self.step}",
            schedule=aws_events.Schedule.rate(rate),
            enabled=enabled,
            targets=[
                targets.LambdaFunction(self.function, retry_attempts=retries, max_event_age=late)
            ],
        )

    def _own_queues(self) -> tuple[sqs.Queue, sqs.Queue]:
        if self._queues is None:
            raise LookupError(f"the step {self.step} has no queue")
        return self._queues

    def _two_queues(self, receives: int) -> tuple[sqs.Queue, sqs.Queue]:
        place = self._site.place
        review = STEPS["review"]
        dead = self._queue(
            f"{place.name}-{self.step}-dlq", "Dlq", review.visibility_on(place.target)
        )
        queue = self._queue(
            f"{place.name}-{self.step}",
            "Queue",
            self.figures.visibility_on(place.target),
            sqs.DeadLetterQueue(max_receive_count=receives, queue=dead),
        )
        return queue, dead

    def _lane(self, lane: Lane) -> sqs.Queue:
        """As the queue of the step, with the same dead letters; named after it and the DPI."""
        receives = self.figures.receives or 1
        return self._queue(
            f"{self._site.place.name}-{self.step}-{lane.dpi}",
            lane.logical,
            self.figures.visibility_on(self._site.place.target),
            sqs.DeadLetterQueue(max_receive_count=receives, queue=self.dead_letters),
        )

    def _queue(
        self, name: str, construct_id: str, visibility: int, dead: sqs.DeadLetterQueue | None = None
    ) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            construct_id,
            queue_name=name,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=self._site.key,
            enforce_ssl=not self._site.place.local,
            retention_period=Duration.days(QUEUE_DAYS),
            visibility_timeout=Duration.seconds(visibility),
            dead_letter_queue=dead,
        )
        return fixed(queue, f"{self.step.capitalize()}{construct_id}")

    def _function(self) -> lambda_.Function:
        place, code = self._site.place, self._site.code
        function = lambda_.Function(
            self,
            "Function",
            function_name=f"{place.name}-{self.step}",
            description=f"PFI, step {self.step}",
            code=code.handlers,
            handler=f"functions.{self.step}.handler.handler",
            layers=list(code.layers),
            runtime=code.runtime,
            architecture=code.architecture,
            memory_size=self.figures.memory,
            timeout=Duration.seconds(self.figures.timeout_on(place.target)),
            reserved_concurrent_executions=place.reserved(self.step),
            role=self._role,
            log_group=self._logs,
            # No POWERTOOLS_SERVICE_NAME: Powertools would add it to every metric as a dimension
            # `service`, and no alarm on a metric without dimension would ever ring.
            environment={
                "PFI_NAME": place.name,
                "PFI_TARGET": place.target.value,
                "PFI_TIMEOUT_S": str(self.figures.timeout_on(place.target)),
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                # It would look through every package for one, in each cold start.
                "PYDANTIC_DISABLE_PLUGINS": "__all__",
            },
        )
        explain(
            function,
            "AwsSolutions-L1",
            "The runtime, the hash lock and the ABI of the layer move together, in one change that "
            "is tested; the runtime named here is one that AWS supports.",
        )
        return function

    def _stand_in_vpc(self, reach: Reach) -> None:
        cast(
            "lambda_.CfnFunction", cfn(self.function)
        ).vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=list(reach.subnets), security_group_ids=[reach.security_group]
        )
        name = f"{self._site.place.name}-{self.step}"
        self.use(access.stand_in_vpc(name, Stack.of(self)))

    def _minimal_role(self) -> aws_iam.Role:
        """A role without AWS's managed policy, which may write to every log group there is."""
        role = aws_iam.Role(
            self, "Role", assumed_by=aws_iam.ServicePrincipal("lambda.amazonaws.com")
        )
        role.add_to_policy(
            access.allow(["logs:CreateLogStream", "logs:PutLogEvents"], [self._logs.log_group_arn])
        )
        return role

    def _watch_queues(self) -> None:
        step, ring = self.step, self._site.alarms.ring
        limits = self._site.place.thresholds
        age = limits.age(step)
        ring(
            f"{step}-dlq",
            self.dead_letters.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            Watch(limits.dead_letters, times=5),
            f"La file d'échec de {step} ne se vide pas : la fonction review ne l'enregistre plus.",
        )
        waiting = {step: self.queue} | {f"{step}-{dpi}": lane for dpi, lane in self.lanes.items()}
        for name, queue in waiting.items():
            ring(
                f"{name}-age",
                queue.metric_approximate_age_of_oldest_message(period=Duration.minutes(1)),
                Watch(age),
                f"Un message attend l'étape {name} depuis plus de {age // 60} minutes.",
            )

    def _watch_function(self) -> None:
        """One throttle alarm per function and no sum of all: the emulator knows no metric math.

        None for the functions of the clock, which run alone: a poll of more than a minute
        throttles the next one by design, and the age of the last poll has its own alarm.
        """
        five, limits = Duration.minutes(5), self._site.place.thresholds
        self._site.alarms.ring(
            f"{self.step}-errors",
            self.function.metric_errors(period=five),
            Watch(limits.function_errors),
            f"La fonction {self.step} s'est arrêtée sur une erreur imprévue : voir son journal.",
        )
        # SQS leaves a message received more than three times out of its age metric: during a long
        # breakdown of the DPI or of the relay the alarm above falls silent. This one does not.
        slow = _FAILING.get(self.step)  # one try a day, or an hour: no second one to wait for
        self._site.alarms.ring(
            f"{self.step}-failing",
            metric(
                "StepErrors", period=slow.period if slow else Duration.minutes(15), step=self.step
            ),
            Watch(limits.step_errors, times=1 if slow else 2),
            slow.sentence
            if slow
            else f"L'étape {self.step} échoue sans interruption depuis une demi-heure.",
        )
        if self.step not in CLOCKED:
            self._site.alarms.ring(
                f"{self.step}-throttles",
                self.function.metric_throttles(period=five),
                Watch(limits.function_throttles),
                f"Des exécutions de {self.step} sont refusées : quota Lambda atteint.",
            )


@dataclass(frozen=True, slots=True)
class _Failing:
    """Of a function that runs too rarely for two bad quarters of an hour in a row."""

    period: Duration
    sentence: str


_FAILING: Final[Mapping[str, _Failing]] = {
    "certificates": _Failing(Duration.days(1), "La veille quotidienne des certificats échoue."),
    "prove": _Failing(Duration.hours(2), "Le compte horaire des courriels échoue."),
    "retain": _Failing(
        Duration.days(1), "Des corps de courriels en revue ne sont plus prolongés : ils expireront."
    ),
}


def let_bucket_send(queue: sqs.Queue, key: aws_kms.Key) -> None:
    """S3 may send into one queue, for buckets of this account (see `Storage.announce`)."""
    own_account = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
    s3 = aws_iam.ServicePrincipal("s3.amazonaws.com")
    queue.add_to_resource_policy(
        aws_iam.PolicyStatement(
            principals=[s3],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions=own_account,
        )
    )
    key.add_to_resource_policy(
        aws_iam.PolicyStatement(
            principals=[s3],
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=["*"],
            conditions=own_account,
        )
    )
