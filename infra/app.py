"""Entry of ``cdk.json``: reads the context, makes the stacks, calls nothing.

    cdk synth -c target=aws -c region=eu-west-3 -c imap=203.0.113.10/32:143 …

Stacks: `Pfi` (the core, the only one in the emulator) and, on AWS, `PfiNetwork` (before it),
`PfiGuard` and `PfiQueries` (after it).

Context keys, all optional, on the command line or in ``cdk.context.json``; [default]:

{keys}
"""

import textwrap

import infra.aws  # noqa: F401 (names the Node of jsii, so it comes before aws_cdk)

# isort: split
from aws_cdk import App

from infra.aws.context import KEYS, deployment
from infra.aws.core import CoreStack
from infra.aws.guard import GuardStack
from infra.aws.network import NetworkStack
from infra.aws.queries import QueryStack
from infra.aws.refused import RefusedContextError

__doc__ = (__doc__ or "").format(
    keys="\n".join(
        textwrap.fill(f"{key}: {meaning}", 96, initial_indent="    ", subsequent_indent="        ")
        for key, meaning in KEYS.items()
    )
)


def build(app: App) -> CoreStack:
    """All stacks of one deployment; the core one is returned."""
    place = deployment({key: app.node.try_get_context(key) for key in KEYS})
    network = NetworkStack(app, "PfiNetwork", place, place.network) if place.network else None
    core = CoreStack(app, "Pfi", place, network.reach if network else {})
    if not place.local:
        GuardStack(app, "PfiGuard", place, core.held())
        QueryStack(app, "PfiQueries", place)
    return core


def main() -> None:
    """Synthesise; a refused context ends with one sentence and no traceback."""
    app = App()
    try:
        build(app)
    except RefusedContextError as refused:
        raise SystemExit(f"pfi: {refused}") from None
    app.synth()


if __name__ == "__main__":
    main()
