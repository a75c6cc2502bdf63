"""The core stack: composition only. It reads as the journey of a mail (docs: one picture).

It runs unchanged on AWS and in the emulator. One resource type that the emulator does not know
makes it refuse the whole template, so network and guard rails live in stacks of their own.
"""

from collections.abc import Mapping

from aws_cdk import (
    AssetHashType,
    Aws,
    CfnOutput,
    CfnRule,
    CfnRuleAssertion,
    Environment,
    Fn,
    RemovalPolicy,
    Stack,
    aws_kms,
)
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.aws import packaging
from infra.aws.dashboards import Observed, dashboards
from infra.aws.fixed import fixed, rotated_key
from infra.aws.guard import Held
from infra.aws.names import EEA_REGIONS, QUEUED, STEPS, Deployment
from infra.aws.network import Reach
from infra.aws.observability import Alarms, ring_for_certificates, ring_for_the_product
from infra.aws.peers import LEAVING
from infra.aws.pipeline import Code, Site, Step, let_bucket_send
from infra.aws.storage import DOCUMENTS, FEED, IMPORTS, INCOMING, TRUST, Storage
from infra.aws.traces import let_logs_use


class CoreStack(Stack):
    """Everything a mail goes through."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        place: Deployment,
        reach: Mapping[str, Reach],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=place.name,
            description="PFI: MSSante mailboxes to the hospital's DPI",
            env=Environment(region=place.region),
            termination_protection=not place.local,
        )
        self.place = place
        self.store = Storage(self, "Storage", place)
        alarms = Alarms(self, "Alarms", place, key := self._flow_key())
        self.site = Site(place, self._code(), key, alarms, reach)
        self.steps = {name: Step(self, name, self.site) for name in STEPS}
        self._wire()
        self._watch()
        self._outputs()
        if not place.local:
            self._refuse_other_regions()

    def held(self) -> Held:
        """What the guard stack watches."""
        store = self.store
        return Held(store.key, store.mails, (store.ledger, store.patients), self.site.alarms.topic)

    def _wire(self) -> None:
        """Who may read, write and send what: the arrows of the picture."""
        store, steps, place = self.store, self.steps, self.place
        collect, parse, match = steps["collect"], steps["parse"], steps["match"]
        push, forward, review = steps["push"], steps["forward"], steps["review"]
        for name, step in steps.items():
            step.use(store.reading_settings())
            if name not in ("certificates", "prove", "retain", "load"):
                step.use(store.keeping_ledger())
            if name in LEAVING:
                step.use(store.reading(TRUST))

        collect.use(store.writing(INCOMING), store.reading_secret("mssante"), parse.give_up())
        collect.every_minute(enabled=self.place.collect)
        for announced in (parse, match, steps["load"]):
            let_bucket_send(announced.queue, self.site.key)
        # The dossier that `parse` stores is the job of `match`.
        store.announce(parse.queue, match.queue, steps["load"].queue)
        parse.use(store.reading(INCOMING), store.writing(DOCUMENTS))
        # A repeated arrival sends the job that the state of its mail calls for, hence three doors;
        # a bounce is about a mail that `forward` sent, hence that step's dead letters.
        parse.use(match.door(), push.door(), forward.door(), parse.give_up(), forward.give_up())
        match.use(store.reading(DOCUMENTS), store.reading_patients())
        # Its own door: a mail whose patient is awaited is handed back as a new job.
        match.use(match.door(), push.door(), forward.door(), match.give_up())
        # The patients once more: a decision that waited for the DPI is taken again.
        push.use(store.reading(DOCUMENTS), store.reading_secret("dpi"), store.reading_patients())
        push.use(forward.door(), push.give_up())
        forward.use(store.reading(INCOMING, DOCUMENTS), store.reading_secret("mssante"))
        forward.use(forward.give_up())
        self._look_after_certificates(steps["certificates"])
        self._prove(steps["prove"])
        self._retain(steps["retain"])
        self._load(steps["load"])
        # Called by the stack `PfiFeed`, and by an operator for a message in review.
        steps["feed"].use(store.feeding_patients(), store.reading(FEED), store.writing(FEED))
        for name in QUEUED:
            review.receive(steps[name].dead_letters, batch=10, cap=place.pollers("review")[0])
            review.use(steps[name].name_of_dead_letters())

    def _look_after_certificates(self, step: Step) -> None:
        """Reads both secrets daily, and writes newer revocation lists into them or beside them."""
        store = self.store
        step.use(store.reading(TRUST), store.writing(TRUST))
        for peer in store.secrets:
            step.use(store.reading_secret(peer), store.replacing_secret(peer))
        step.every_day()

    def _prove(self, step: Step) -> None:
        """Counts, and neither opens a body nor changes a line."""
        step.use(self.store.seeing_ledger(), self.store.listing(), self.store.seeing_feeds())
        for name in QUEUED:
            step.use(*self.steps[name].counting())
        step.every_hour()

    def _load(self, step: Step) -> None:
        """Patient files: its own door is for the rest of a file that is too long for one call."""
        store = self.store
        step.use(store.reading(IMPORTS), store.reporting(), store.feeding_patients())
        step.use(step.door(), step.give_up())

    def _retain(self, step: Step) -> None:
        """Copies bodies in place and hands none out; which ones, the ledger says."""
        store = self.store
        step.use(store.seeing_ledger(), store.listing(), store.renewing())
        if self.place.scanned:
            store.quarantine(step.function.role)
        step.every_day()

    def _flow_key(self) -> aws_kms.Key:
        """The key of queues, alarms and logs. Not the key of the bucket: the bucket announces to a
        queue, and one key for both closes a cycle that CloudFormation refuses."""
        removal = RemovalPolicy.DESTROY if self.place.local else RemovalPolicy.RETAIN
        key = rotated_key(self, "FlowKey", f"{self.place.name}: queues, alarms, logs", removal)
        key.add_alias(f"alias/{self.place.name}-flow")
        if not self.place.local:
            groups = (f"/aws/lambda/{self.place.name}-*", f"/aws/vendedlogs/{self.place.name}-*")
            let_logs_use(key, self.place, groups)
        return fixed(key, "FlowKey")

    def _code(self) -> Code:
        """In the emulator the wheels come from the virtual environment it runs in: a layer of
        another ABI would only kill its workers."""
        layers = [self._layer("Shared", packaging.shared())]
        if not self.place.local:
            layers.append(self._layer("Dependencies", packaging.dependencies()))
        return Code(
            handlers=_zip(packaging.functions()),
            layers=tuple(layers),
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.X86_64
            if self.place.local
            else lambda_.Architecture.ARM_64,
        )

    def _layer(self, name: str, asset: packaging.Asset) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            f"{name}Layer",
            layer_version_name=f"{self.place.name}-{name.lower()}",
            code=_zip(asset),
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
        )

    def _watch(self) -> None:
        functions = {name: step.function for name, step in self.steps.items()}
        ring_for_the_product(self.site.alarms, self.place)
        ring_for_certificates(self.site.alarms, self.place.thresholds)
        queues = {name: self.steps[name].queue for name in QUEUED}
        queues |= {f"push {dpi}": queue for dpi, queue in self.steps["push"].lanes.items()}
        dead = {name: self.steps[name].dead_letters for name in QUEUED}
        tables = {"ledger": self.store.ledger, "patients": self.store.patients}
        seen = Observed(functions, queues, dead, tables, self.store.mails)
        dashboards(self, self.place, seen)

    def _outputs(self) -> None:
        values = {
            "BucketName": self.store.mails.bucket_name,
            "LedgerTable": self.store.ledger.table_name,
            "PatientsTable": self.store.patients.table_name,
            "SettingsParameter": self.store.settings_name,
            "MssanteSecret": self.store.secrets["mssante"],
            "DpiSecret": self.store.secrets["dpi"],
            "DashboardActivity": f"{self.place.name}-activite",
            "DashboardMachinery": f"{self.place.name}-exploitation",
            "AlarmTopicArn": self.site.alarms.topic.topic_arn,
        }
        for name, step in self.steps.items():
            values[f"Function{name.capitalize()}"] = step.function.function_name
        for name in QUEUED:
            values[f"Queue{name.capitalize()}Url"] = self.steps[name].queue.queue_url
            values[f"Dlq{name.capitalize()}Url"] = self.steps[name].dead_letters.queue_url
        for lane in self.place.lanes:
            values[f"QueuePush{lane.logical}Url"] = self.steps["push"].lanes[lane.dpi].queue_url
        for output, value in values.items():
            CfnOutput(self, output, value=value)

    def _refuse_other_regions(self) -> None:
        """The synthesised template refuses to be deployed outside the EEA, by whatever tool."""
        CfnRule(
            self,
            "StoredInTheEea",
            assertions=[
                CfnRuleAssertion(
                    assert_=Fn.condition_contains(list(EEA_REGIONS), Aws.REGION),
                    assert_description="Health data stays in the EEA (HDS, exigence 28).",
                )
            ],
        )


def _zip(asset: packaging.Asset) -> lambda_.Code:
    """The digest of the content names the zip: same code, same template, on any machine."""
    return lambda_.Code.from_asset(
        str(asset.folder), asset_hash=asset.digest, asset_hash_type=AssetHashType.CUSTOM
    )
