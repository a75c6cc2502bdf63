"""Entry of ``cdk.json``: reads the context, makes the stacks, calls nothing.

    cdk synth -c target=aws|local -c name=pfi -c region=eu-west-3 -c retention=30 \\
              -c concurrency=10 -c collect=on|off
"""

import infra.aws  # noqa: F401 (names the Node of jsii, so it comes before aws_cdk)

# isort: split
from aws_cdk import App

from infra.aws.core import CoreStack
from infra.aws.names import RefusedContextError, deployment

CONTEXT_KEYS = ("target", "name", "region", "retention", "concurrency", "collect")


def build(app: App) -> CoreStack:
    """All stacks of one deployment; the core one is returned."""
    context = {key: app.node.try_get_context(key) for key in CONTEXT_KEYS}
    return CoreStack(app, "Pfi", deployment(context))


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
