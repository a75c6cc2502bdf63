"""Collect the mails of every configured mailbox, once a minute."""

from pfi.edge.lambdas import schedule_function
from pfi.names import Step

handler = schedule_function(Step.COLLECT)
