"""Entry of ``cdk.json``: reads the context, makes the stacks, calls nothing.

    cdk synth -c target=aws -c region=eu-west-3 -c imap=203.0.113.10/32:143 …

Stacks: `Pfi` (the core, the only one in the emulator) and, on AWS, `PfiNetwork` (before it),
`PfiGuard`, `PfiQueries` and, with a domain, `PfiFeed` (after it).

Context keys, all optional, on the command line or in ``cdk.context.json``; [default]:

{keys}
"""

import textwrap

import infra.aws  # noqa: F401 (names the Node of jsii, so it comes before aws_cdk)

# isort: split
from aws_cdk import App

from infra.aws.context import KEYS
from infra.aws.refused import RefusedContextError
from infra.aws.stacks import build

__doc__ = (__doc__ or "").format(
    keys="\n".join(
        textwrap.fill(f"{key}: {meaning}", 96, initial_indent="    ", subsequent_indent="        ")
        for key, meaning in KEYS.items()
    )
)


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
