"""No function tells the text of an error, wherever in a step it arises and whoever raised it.

Errors quote what they met: a name in a file name, in a key of the store, in a row, in bytes that
are no text. The handlers of the stack run here as they are; only what they reach is broken.
"""

from dataclasses import replace
from importlib import import_module
from traceback import format_exception
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from pfi.edge import certificates, feed, lambdas, prove, retain
from pfi.errors import Unavailable
from pfi.journey.jobs import Job
from pfi.names import Reason, Step
from tests.doubles.drive import HOSPITAL
from tests.doubles.patient_base import FEED
from tests.unit.edge.records import Context, arrival, listen, message

MARK = "ZQXNAISSANCE"
JOB = Job("ab" * 32, 1).dump()
BODIES = {
    "parse": arrival(f"incoming/app/{MARK}+1985.eml", f"incoming/app/{'cd' * 32}.eml"),
    "match": JOB,
    "push": JOB,
    "forward": JOB,
    "review": arrival(f"incoming/app/{MARK}.eml"),
}
FED = {"message": "ab" * 32, "feed": "gam"}
"""What the function `feed` looks at; the others do not."""
FUNCTIONS = [*BODIES, "collect", "certificates", "prove", "retain", "feed"]


def quoted(kind):
    """An error that quotes a patient in its own way."""
    error = ERRORS[kind]()
    error.add_note(f"about {MARK}")
    error.__cause__ = ValueError(MARK)
    return error


class Odd(Exception):
    def __str__(self):
        return MARK


ERRORS = {
    "a value": lambda: ValueError(MARK),
    "a key": lambda: KeyError(MARK),
    "a file": lambda: FileNotFoundError(2, "absent", f"/tmp/{MARK}.eml"),
    "bytes": lambda: UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, MARK),
    "a service": lambda: ClientError({"Error": {"Code": "X", "Message": MARK}}, MARK),
    "a group": lambda: ExceptionGroup(MARK, [ValueError(MARK)]),
    "an odd one": Odd,
    "one of ours": lambda: Unavailable(Reason.STORE_UNAVAILABLE, code=MARK),
}


class Broken:
    """Ports of which everything that is asked for, now or later, raises."""

    def __init__(self, error):
        self._error = error

    def __getattr__(self, name):
        if name == "settings":
            return replace(HOSPITAL, feeds=(FEED,))
        if name == "names":
            return SimpleNamespace(name="pfi", secret_mssante="m", secret_dpi="d", mail_days=30)
        if name in ("table", "store", "jobs", "patients"):
            return Broken(self._error)
        raise self._error


@pytest.fixture
def broken(monkeypatch):
    def breaks(error):
        for module in (lambdas, certificates, prove, retain, feed):
            monkeypatch.setattr(module, "services", lambda: Broken(error))

    return breaks


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_whatever_a_function_meets_its_text_is_told_to_nobody(function, kind, broken, capfd):
    broken(quoted(kind))
    handler = import_module(f"functions.{function}.handler").handler
    step = next((each for each in Step if each.value == function), Step.MATCH)
    out, said = listen(step), ""
    try:
        handler({"Records": [message(BODIES.get(function, ""), received=9)]} | FED, Context())
    except Exception as error:  # Lambda prints what escapes, with everything it hangs on
        said = "".join(format_exception(error))
    told = out.getvalue() + said + "".join(capfd.readouterr())
    assert MARK not in told
    assert told or kind == "one of ours"
