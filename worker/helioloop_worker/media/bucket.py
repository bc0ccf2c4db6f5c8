"""Media in an S3-compatible bucket, from which Label Studio's own S3 storage gives browsers signed addresses.

Credentials, region and endpoint come from the usual variables of boto3: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_DEFAULT_REGION``, ``AWS_ENDPOINT_URL_S3``, ``AWS_CA_BUNDLE``.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Final

from helioloop.environment.addresses import bucket_and_prefix
from helioloop.errors import MissingExtra, ServiceError, SettingsError

_TYPES: Final = {".mp4": "video/mp4", ".json": "application/json", ".txt": "text/plain; charset=utf-8"}
_DELETED_AT_ONCE: Final = 1000
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
_NOT_THERE: Final = frozenset({"NoSuchKey", "NotFound", "404"})
_MAY_PASS: Final = frozenset({"InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"})
"""Codes of S3 for one object of a call that was answered with 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketMedia:
    """A bucket, and the beginning of the keys in it.

    Parameters
    ----------
    bucket : str
        Name of the bucket.
    prefix : str
        Beginning of all keys, with a slash at its end unless it is empty.
    """

    bucket: str
    prefix: str

    @classmethod
    def from_address(cls, address: str) -> "BucketMedia":
        """Return the media at an address such as ``s3://bucket/prefix``.

        Raises
        ------
        SettingsError
            If it is not such an address; the text does not contain it.
        """
        try:
            bucket, prefix = bucket_and_prefix(address)
        except ValueError as error:
            raise SettingsError(f"HELIOLOOP_MEDIA_BUCKET {error}") from None
        return cls(bucket=bucket, prefix=f"{prefix}/" if prefix else "")

    def address(self, name: str) -> str:
        """Return the address that Label Studio's S3 storage resolves; see `Media.address`."""
        return f"s3://{self.bucket}/{self._key(name)}"

    def serve(self, name: str, read: Callable[[], bytes]) -> None:
        """Upload a file unless the bucket has this content; see `Media.serve`."""
        content = read()
        with self._plain_errors():
            if self._stored_hash(self._key(name)) != hashlib.sha256(content).hexdigest():
                self._put(name, content)

    def claim(self, name: str, content: bytes) -> bool:
        """Upload a file unless the bucket has one, and return whether it has this content; see `Media.claim`."""
        with self._plain_errors():
            stored = self._stored_hash(self._key(name))
            if stored is None:
                self._put(name, content)
            elif not stored:  # copied there by a program that left out the metadata
                body = _client().get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()
                stored = hashlib.sha256(body).hexdigest()
            return stored in {None, hashlib.sha256(content).hexdigest()}

    def withdraw(self, names: Iterable[str]) -> None:
        """Delete files; see `Media.withdraw`."""
        keys = [{"Key": self._key(name)} for name in names]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            with self._plain_errors():
                some = keys[start : start + _DELETED_AT_ONCE]
                answer = _client().delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})
            self._check_deleted(answer)

    def _check_deleted(self, answer: Mapping[str, Any]) -> None:
        """Raise the first error of one object: S3 answers 200 also where it refused to delete some or all of them."""
        errors = [error for error in answer.get("Errors") or () if error.get("Code") not in _NOT_THERE]
        if not errors:
            return
        code = errors[0].get("Code", "an error")
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise ServiceError(
            f"the bucket {self.bucket} refuses DeleteObjects ({code}) of {errors[0].get('Key')}{more}; "
            "check that the credentials in AWS_ACCESS_KEY_ID may delete there (s3:DeleteObject)",
            may_pass=all(error.get("Code") in _MAY_PASS for error in errors),
        )

    def _put(self, name: str, content: bytes) -> None:
        _client().put_object(
            Bucket=self.bucket,
            Key=self._key(name),
            Body=content,
            ContentType=_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream"),
            CacheControl="no-cache",  # the address of a curve stays, and its content changes
            Metadata={"sha256": hashlib.sha256(content).hexdigest()},
        )

    def _key(self, name: str) -> str:
        return f"{self.prefix}helioloop/{name}"

    def _stored_hash(self, key: str) -> str | None:
        """Return the content hash of an object: empty where it is not known, None where there is no object."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - an extra that few need

        try:
            found = _client().head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code")) in _NOT_THERE:
                return None
            raise
        return str(found.get("Metadata", {}).get("sha256", ""))

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Turn an error of boto3 in the block into a `ServiceError`: one sentence without secrets."""
        try:
            from botocore import exceptions  # noqa: PLC0415 - an extra that few need
        except ModuleNotFoundError:
            raise MissingExtra(
                "HELIOLOOP_MEDIA_BUCKET is set and the package boto3 is not installed; install it with `uv pip install "
                "'helioloop[s3]'`"
            ) from None
        try:
            yield
        except exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "an error")
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
            raise ServiceError(
                f"the bucket {self.bucket} refuses {error.operation_name} ({code}); check its name and what "
                "the credentials in AWS_ACCESS_KEY_ID may do",
                may_pass=status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR,
            ) from None
        except exceptions.BotoCoreError as error:
            raise ServiceError(
                f"the bucket {self.bucket} cannot be reached ({type(error).__name__}); check AWS_ENDPOINT_URL_S3, "
                "AWS_DEFAULT_REGION and AWS_ACCESS_KEY_ID",
                may_pass=isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)
                and not isinstance(error, exceptions.SSLError),
            ) from None


@lru_cache(maxsize=1)
def _client() -> Any:
    """Return the client, one for each process."""
    import boto3  # noqa: PLC0415 - an extra that few need

    return boto3.client("s3")
