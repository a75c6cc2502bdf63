"""An AWS account that can only be read: every other call is refused before it leaves."""

from typing import Any, Final

from infra.operations.account import Account, OperationRefused

READS: Final = ("BatchGet", "Describe", "Get", "Head", "List", "Query", "Scan")
"""How the names of operations begin that change nothing, in the services that we use."""


class ReadingAccount(Account):
    """The same clients, behind a gate. The rights of the caller may be wider."""

    def _made(self, service: str) -> Any:
        client = super()._made(service)
        client.meta.events.register("before-call", _gate)
        return client


def _gate(model: Any, **_: object) -> None:
    """A hook of botocore, called with the model of the operation."""
    if not model.name.startswith(READS):
        raise OperationRefused(f"une répétition ne fait que lire : {model.name} est refusé")
