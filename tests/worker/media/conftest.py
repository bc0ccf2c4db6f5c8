"""A bucket for the tests of this folder."""

from tests.worker.media.moto_bucket import own_bucket, s3_server

__all__ = ["own_bucket", "s3_server"]
