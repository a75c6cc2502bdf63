"""Patient files on their way into the table: the progress of each, and its lines.

A file's progress is one row ``LOAD#<digest>`` of the patients table: no value of a patient.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BufferedReader, BytesIO
from typing import IO, TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from pfi.errors import Unavailable
from pfi.ins.keys import load_key
from pfi.ins.patient_lines import LONGEST
from pfi.journey.loading import Progress, Raw
from pfi.names import Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_PROGRESS: Final = TypeAdapter(Progress)
KEPT_DAYS: Final = 90
IMPORTS: Final = "imports/"
"""Patient files by establishment."""
REPORT: Final = ".report.json"


@dataclass(frozen=True, slots=True)
class DynamoLoads:
    """The `Checkpoints` port on the patients table."""

    client: "DynamoDBClient"
    table: str

    def progress(self, establishment: str, file: str) -> Progress | None:
        """How far a file is."""
        key = {"S": load_key(establishment, file)}
        try:
            found = self.client.query(
                TableName=self.table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": key},
                ConsistentRead=True,
            )["Items"]
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return _PROGRESS.validate_json(found[0]["progress"]["S"]) if found else None

    def keep(self, establishment: str, progress: Progress, now: datetime) -> None:
        """Remember it for three months."""
        key = {"S": load_key(establishment, progress.file)}
        until = int((now + timedelta(days=KEPT_DAYS)).timestamp())
        said = {"S": _PROGRESS.dump_json(progress).decode()}
        item = {"pk": key, "sk": key, "progress": said, "expires_at": {"N": str(until)}}
        try:
            self.client.put_item(TableName=self.table, Item=item)
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None


@dataclass(frozen=True, slots=True)
class Dropped:
    """One version of a file in the store: its first lines, its mark, when it was put there."""

    head: list[bytes]
    mark: str
    at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class S3Drops:
    """Files that were dropped into the store, read from anywhere."""

    client: "S3Client"
    bucket: str

    def looked_at(self, key: str) -> Dropped:
        """The beginning of a file; Unavailable when it is gone."""
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=key)
            with closing(found["Body"]) as body:
                stream = BufferedReader(body)  # type: ignore[type-var]  # it reads as a raw stream does
                head = [stream.readline(LONGEST + 1) for _ in range(2)]
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None
        return Dropped(head, found["ETag"], found["LastModified"], found["ContentLength"])

    @contextmanager
    def opened(self, key: str, dropped: Dropped, offset: int) -> Iterator[IO[bytes]]:
        """The same version from an offset on; Unavailable when another one took its place."""
        if offset >= dropped.size:
            yield BytesIO()
            return
        try:
            found = self.client.get_object(
                Bucket=self.bucket, Key=key, Range=f"bytes={offset}-", IfMatch=dropped.mark
            )
            with closing(found["Body"]) as body:
                yield BufferedReader(body)  # type: ignore[type-var]  # as above
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None

    def report(self, key: str, content: bytes) -> None:
        """Beside the file."""
        try:
            self.client.put_object(
                Bucket=self.bucket,
                Key=f"{key}{REPORT}",
                Body=content,
                ContentType="application/json",
            )
        except (ClientError, BotoCoreError):
            raise Unavailable(Reason.STORE_UNAVAILABLE) from None


def raws(stream: IO[bytes], offset: int) -> Iterator[Raw]:
    """The lines of a stream that stands at this offset. One that is too long is given as the one
    byte too many that shows it, and read past."""
    while raw := stream.readline(LONGEST + 1):
        offset += len(raw)
        rest = raw
        while len(rest) > LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST + 1)
            offset += len(rest)
        yield raw, offset
