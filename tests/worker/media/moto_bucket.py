"""Fixtures: an S3-compatible server (moto's), and an empty bucket in it that the usual variables of boto3 name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from helioloop_worker.media import bucket


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """Run moto's server and yield its address."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@dataclass(frozen=True)
class Bucket:
    """An empty bucket, and what is in it."""

    client: Any
    name: str = "media"

    def keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(entry["Key"] for entry in found)


@pytest.fixture
def own_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket in that server, which the usual variables of boto3 name."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket._client.cache_clear()
    httpx.post(f"{s3_server}/moto-api/reset")
    client = boto3.client("s3")
    client.create_bucket(Bucket="media")
    yield Bucket(client)
    bucket._client.cache_clear()
    client.close()
