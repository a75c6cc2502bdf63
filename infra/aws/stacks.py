"""All stacks of one deployment: what `infra.app` synthesises and `infra.aws.hds` describes."""

import infra.aws  # noqa: F401 (names the Node of jsii, so it comes before aws_cdk)

# isort: split
from aws_cdk import App

from infra.aws.context import KEYS, deployment
from infra.aws.core import CoreStack
from infra.aws.feed import FeedStack
from infra.aws.guard import GuardStack
from infra.aws.network import NetworkStack
from infra.aws.queries import QueryStack


def build(app: App) -> CoreStack:
    """Read the context of the app and make its stacks; the core one is returned."""
    place = deployment({key: app.node.try_get_context(key) for key in KEYS})
    network = NetworkStack(app, "PfiNetwork", place, place.network) if place.network else None
    core = CoreStack(app, "Pfi", place, network.reach if network else {})
    if not place.local:
        GuardStack(app, "PfiGuard", place, core.held())
        QueryStack(app, "PfiQueries", place)
        if place.endpoint:
            feed = core.steps["feed"].function
            FeedStack(app, "PfiFeed", place, place.endpoint, feed, core.site.key)
    return core
