"""The store on S3. Keys are digests and configured ids; bodies are encrypted by the bucket."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from pfi.errors import Unavailable
from pfi.journey.keys import INCOMING, document_key
from pfi.journey.records import Dossier
from pfi.names import Reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FEED: Final = "feed/"
TRUST: Final = "trust/"
"""Revocation lists that no secret can hold, under their digest."""
_BYTES: Final = "application/octet-stream"
_TYPES: Final = {"eml": "message/rfc822", "json": "application/json"}
_NOT_MET: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_STORED_AT: Final = "stored-at"
"""When a mail was stored, to the microsecond: S3 itself only knows seconds, and mails of one second
have an order."""
_HEAD: Final = 65_536
"""First bytes of a dossier that are read without its document: most dossiers are shorter."""


@cache
def _dossiers() -> TypeAdapter[Dossier]:
    return TypeAdapter(Dossier)


@dataclass(frozen=True, slots=True)
class S3Reader:
    """Keys and bytes of the bucket, and no verb that changes them."""

    client: "S3Client"
    bucket: str

    def get(self, key: str) -> bytes:
        """Bytes of a key; Unavailable when S3 does not answer or the key is gone."""
        try:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def arrived(self, key: str) -> tuple[bytes, datetime]:
        """Bytes of a key and when they were stored."""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
            told = answer["Metadata"].get(_STORED_AT)
            stored_at = datetime.fromisoformat(told) if told else answer["LastModified"]
            return answer["Body"].read(), stored_at
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def _head(self, key: str) -> bytes:
        """The first bytes of a key: all of it when it is short."""
        try:
            part = f"bytes=0-{_HEAD - 1}"
            return self.client.get_object(Bucket=self.bucket, Key=key, Range=part)["Body"].read()
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def listed(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Keys below a prefix and when each was stored; no body is read."""
        try:
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for each in page.get("Contents", ()):
                    yield each["Key"], each["LastModified"]
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None


@dataclass(frozen=True, slots=True)
class S3Store(S3Reader):
    """Mails under ``incoming/<mailbox>/``, what was read of them under
    ``documents/<sha256>/<mailbox>/``."""

    def put_mail(self, mailbox: str, mail: str, raw: bytes) -> str:
        """The arrival: writing this object is the event that starts the journey."""
        key = f"{INCOMING}{mailbox}/{mail}.eml"
        self._put(key, raw, _TYPES["eml"], Metadata={_STORED_AT: datetime.now(UTC).isoformat()})
        return key

    def put_dossier(
        self, key: str, dossier: Dossier, contents: Sequence[bytes] = (), *, anew: bool = False
    ) -> bool:
        """One line of JSON. A single document follows it, byte for byte, so that storing both is
        one event and reading both one call; several are stored beside it, before it."""
        alone = contents[0] if len(contents) == 1 else b""
        terms = {} if anew else {"IfNoneMatch": "*"}
        for number, content in enumerate(() if alone else contents, start=1):
            self._put(document_key(key, number), content, _BYTES)
        body = b"".join((_dossiers().dump_json(dossier), b"\n", alone))
        return self._put(key, body, _TYPES["json"], **terms)

    def dossier(self, key: str) -> Dossier:
        """What parse learnt."""
        head = self._head(key)
        whole = len(head) < _HEAD or b"\n" in head
        return _dossiers().validate_json((head if whole else self.get(key)).partition(b"\n")[0])

    def document(self, key: str, number: int) -> tuple[Dossier, bytes]:
        """What parse learnt, and one CDA, byte for byte."""
        line, _, content = self.get(key).partition(b"\n")
        return _dossiers().validate_json(line), content or self.get(document_key(key, number))

    def put_message(self, message: str, raw: bytes) -> str:
        """An identity message that waits for a person, byte for byte."""
        key = f"{FEED}{message}.hl7"
        self._put(key, raw, "application/hl7-v2")
        return key

    def renew(self, prefix: str, older_than: datetime) -> dict[str, bool]:
        """Copy each older object onto itself: the copy is a new version, whose age begins again.

        Tags go with it, and the bucket encrypts it as any other. S3 refuses such a copy unless
        something is said anew, hence the type.
        """
        found = {key: at < older_than for key, at in self.listed(prefix)}
        for key in (key for key, old in found.items() if old):
            self._copy(key)
        return found

    def _copy(self, key: str) -> None:
        try:
            self.client.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource={"Bucket": self.bucket, "Key": key},
                MetadataDirective="REPLACE",
                ContentType=_TYPES.get(key.rpartition(".")[2], _BYTES),
            )
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def put_trust(self, key: str, content: bytes) -> None:
        """A revocation list."""
        self._put(key, content, "application/x-pem-file")

    def _put(self, key: str, content: bytes, content_type: str, **terms: Any) -> bool:
        """False when the terms are not met."""
        try:
            self.client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=content,
                ContentType=content_type,
                **terms,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_MET:
                return False
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        except BotoCoreError:
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return True
