"""Settings that would leave mails under way without their way: a mailbox or a DPI that goes, a
mailbox that is turned to another DPI or establishment.

Their documents were decided for the patients and the chains of then: turned away they are not sent
(`pfi.journey.push`), and a person would have to file each by hand.
"""

from infra.operations.account import OperationRefused, Stack
from infra.operations.flight import in_flight
from pfi.journey.settings import MailboxSettings, Settings


def stranded(old: Settings, new: Settings, stack: Stack) -> str:
    """What is wrong, and what to do; '' when nothing is. Looks at the ledger only if it must."""
    concerned = {each.id for each in old.mailboxes if _loses_its_way(each, new)}
    if not concerned:
        return ""
    waiting = {name: n for name, n in in_flight(stack).unsettled.items() if name in concerned}
    listed = ", ".join(f"« {name} » ({count})" for name, count in sorted(waiting.items()))
    if not listed:
        return ""
    return (
        f"des courriels sont en cours pour ce qui serait retiré, ou tourné vers un autre DPI ou un "
        f"autre établissement : {listed}. Mettez la relève en pause (pfi pause collect) et "
        "attendez leur fin."
    )


def refuse_to_strand(old: Settings, new: Settings, stack: Stack) -> None:
    """They must have come to their end before."""
    if found := stranded(old, new, stack):
        raise OperationRefused(found)


def _loses_its_way(before: MailboxSettings, new: Settings) -> bool:
    after = new.mailbox(before.id)
    if after is None or new.dpi(before.dpi) is None:
        return True
    return (before.dpi, before.establishment) != (after.dpi, after.establishment)
