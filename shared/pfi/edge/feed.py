"""HL7 v2 over HTTP: one ADT message in a request, its acknowledgement in the answer.

| status | when |
|---|---|
| 200 | whatever HL7 has an answer for: the body is the ACK |
| 400, 413, 415 | no HL7 message: no body or an unreadable one, too large, another content type |
| 403 | the client certificate belongs to no feed; the body was not looked at |
| 503 | settings or store do not answer, or our own code failed twice: the sender comes again |

Every answer of ours carries `MARK`: a 400 without it is that of something on the way, which knows
nothing of HL7, and the sender must come again.

Events of an HTTP API (payload 2.0) and of a REST API (1.0). API Gateway has verified the client
certificate against the truststore; which feed it is, its SHA-256 says. Operators call the same
function without HTTP, by its name: ``{"message": <digest>, "feed": <id>}`` applies a message that
waits for a person again.
"""

import base64
import binascii
import hashlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import Any, Final

from pfi.adapters.patients import DynamoPatients
from pfi.adapters.s3 import FEED, S3Store
from pfi.edge.telemetry import Telemetry
from pfi.edge.wiring import Services, services
from pfi.errors import Misconfigured, PfiError
from pfi.hl7.adt import MAX_BYTES
from pfi.journey.feed import Answer, feed, feed_again, put_aside
from pfi.journey.outcome import Configured, Digest, Log, Metric, Outcome
from pfi.journey.ports import Table
from pfi.journey.settings import FeedSettings, Settings
from pfi.names import Reason, Step

MEDIA_TYPE: Final = "application/hl7-v2"
CONTENT_TYPE: Final = f"{MEDIA_TYPE}; charset=utf-8"
MARK: Final = {"x-pfi-feed": "1"}
"""Says that the function itself answered."""
_Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


class NoMessage(Exception):
    """The request carries no HL7 message; `status` says so to the sender."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class FeedServices:
    """The ports of the feed on AWS."""

    services: Services

    @property
    def settings(self) -> Settings:
        """Of the installation."""
        return self.services.settings

    @property
    def base(self) -> DynamoPatients:
        """The patient base, written."""
        return self.services.patients

    @property
    def store(self) -> S3Store:
        """Where messages wait."""
        return self.services.store

    @property
    def table(self) -> Table:
        """The ledger."""
        return self.services.table

    @property
    def now(self) -> Callable[[], Any]:
        """The clock."""
        return self.services.now


def feed_function() -> _Handler:
    """A Lambda behind an HTTPS endpoint; the caller's clock never waits for a retry of ours."""
    telemetry = Telemetry(Step.FEED)

    def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
        ports = FeedServices(services())
        work = _again if "message" in event else _answered
        try:
            return work(event, ports, telemetry)
        except PfiError as error:
            telemetry.failed(error)
        except Exception as error:  # told by type and frames; the sender comes again
            telemetry.unexpected(error)
        return _status(503)

    return handler


def _answered(
    event: Mapping[str, Any], ports: FeedServices, telemetry: Telemetry
) -> dict[str, Any]:
    source = ports.settings.fed_by(fingerprint_of(event))
    if source is None:
        telemetry.emit(Outcome(Log.FEED_FORBIDDEN, counts={Metric.FEED_FORBIDDEN: 1}))
        return _status(403)
    try:
        raw = message_of(event)
    except NoMessage as refused:
        telemetry.emit(Outcome(Log.FEED_NO_MESSAGE, {"status": refused.status, **_from(source)}))
        return _status(refused.status)
    answer = _applied(partial(feed, raw, source, ports), raw, source, telemetry, ports)
    telemetry.emit(answer.outcome, **_from(source))
    return {
        "statusCode": 200,
        "headers": {"content-type": CONTENT_TYPE, **MARK},
        "body": answer.ack.decode("utf-8"),
        "isBase64Encoded": False,
    }


def _again(event: Mapping[str, Any], ports: FeedServices, telemetry: Telemetry) -> dict[str, Any]:
    """A message that waits for a person, once more; what came of it, as the code of its line."""
    source = ports.settings.feed(str(event.get("feed", "")))
    if source is None:
        raise Misconfigured(Reason.SETTING_MISSING)
    raw = ports.store.get(f"{FEED}{Digest(str(event['message'])).value}.hl7")
    answer = _applied(partial(feed_again, raw, source, ports), raw, source, telemetry, ports)
    telemetry.emit(answer.outcome, **_from(source))
    return {"statusCode": 200, "log": answer.outcome.log.name}


def _applied(
    run: Callable[[], Answer],
    raw: bytes,
    source: FeedSettings,
    telemetry: Telemetry,
    ports: FeedServices,
) -> Answer:
    """One message on which our own code fails must not stop the others behind it."""
    try:
        return run()
    except PfiError:
        raise
    except Exception as error:
        telemetry.unexpected(error)
        return put_aside(raw, source, ports)


def _from(source: FeedSettings) -> dict[str, Configured]:
    return {"feed": Configured(source.id)}


def _status(code: int) -> dict[str, Any]:
    """A status and nothing else."""
    return {"statusCode": code, "headers": dict(MARK), "body": "", "isBase64Encoded": False}


def fingerprint_of(event: Mapping[str, Any]) -> str:
    """SHA-256 of the client certificate that API Gateway verified; '' without one, which is the
    fingerprint of nobody."""
    context = event.get("requestContext") or {}
    shown = context.get("authentication") or context.get("identity") or {}
    pem = str((shown.get("clientCert") or {}).get("clientCertPem", ""))
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()
    except ValueError:
        return ""


def message_of(event: Mapping[str, Any]) -> bytes:
    """The bytes that the sender sent. A gateway that made text of them did it by the charset of
    the request; MSH-18 says later how they are read."""
    charset = _charset(_content_type(event))
    body = str(event.get("body") or "")
    try:
        encoded = bool(event.get("isBase64Encoded"))
        raw = base64.b64decode(body, validate=True) if encoded else body.encode(charset)
    except (binascii.Error, ValueError):
        raise NoMessage(400) from None
    except LookupError:
        raise NoMessage(415) from None
    if not raw.strip():
        raise NoMessage(400)
    if len(raw) > MAX_BYTES:
        raise NoMessage(413)
    return raw


def _content_type(event: Mapping[str, Any]) -> str:
    headers = event.get("headers") or {}
    return next((str(v) for k, v in headers.items() if k.lower() == "content-type"), "")


def _charset(content_type: str) -> str:
    """Of a request that says that it is HL7 v2; UTF-8 when it names none."""
    header = Message()
    header["content-type"] = content_type
    if header.get_content_type() != MEDIA_TYPE:
        raise NoMessage(415)
    return header.get_content_charset("utf-8")
