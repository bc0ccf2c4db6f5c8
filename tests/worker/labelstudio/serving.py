"""Serves a real backend over HTTP in this process, and calls it as Label Studio does."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from werkzeug.serving import make_server

from helioloop.settings import Settings
from helioloop_backend.wsgi import create_app


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve a backend with these settings on a free port of loopback, and give its address."""
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["helioloop"].connection.close()


def call(method: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> int:
    """Send a request with its headers in Latin-1, as the library requests does, and return the status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        content = json.dumps(body) if method == "POST" else None
        connection.request(method, parts.path, body=content, headers={"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
