"""``helioloop backend``: the web app under gunicorn, one process, a few threads."""

import logging
import socket
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import click

from helioloop.cli import TEXT, Service, needs_extra
from helioloop.errors import SettingsError
from helioloop.logs import start_logging
from helioloop.settings import Settings, load_settings

if TYPE_CHECKING:
    from flask import Flask

logger = logging.getLogger(__name__)

GRACEFUL_SECONDS = 10
"""How long running requests may take to end after SIGTERM."""

SWITCH_SECONDS = 0.0005
"""How long a computing thread may keep others waiting; a tenth of Python's default."""


def commands() -> list[click.Command]:
    """Return the commands of the web side."""
    return [backend]


@click.command(cls=Service)
@click.option("--host", type=TEXT, help="Address to bind to.  [default: HELIOLOOP_BACKEND_HOST, 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: HELIOLOOP_BACKEND_PORT, 9090]"
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Number of threads that answer requests.  [default: HELIOLOOP_BACKEND_THREADS, 8]",
)
def backend(host: str | None, port: int | None, threads: int | None) -> None:
    """Serve predictions to Label Studio.

    Stored predictions go out, correction events come in. The backend loads no model and needs no GPU. It reads the
    folder HELIOLOOP_MODEL_ROOT, which the workers write, and sends jobs to them through the Redis at REDIS_URL. It
    starts and answers /health even while Redis is down.

    \b
      helioloop backend                                  on this machine, port 9090
      helioloop backend --host 0.0.0.0                   for other machines: needs credentials, see below
      curl http://127.0.0.1:9090/health                  does it answer?
      curl -u USER:PASSWORD http://127.0.0.1:9090/metrics

    Beyond loopback set HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD and give the same to Label Studio
    (project settings, Model). The webhook that `helioloop init` makes sends HELIOLOOP_WEBHOOK_SECRET in the header
    X-Helioloop-Secret. PORT, THREADS, MODEL_DIR, BASIC_AUTH_USER and BASIC_AUTH_PASS are read too, and secrets may be
    in files (docs/settings.md). Events, predictions, refusals and requests are logged on stderr, as text or JSON
    (HELIOLOOP_LOG_FORMAT), from the level HELIOLOOP_LOG_LEVEL upwards. Ctrl-C or SIGTERM stops the backend; running
    requests end first.
    """
    chosen = {"backend_host": host, "backend_port": port, "backend_threads": threads}
    settings = load_settings().model_copy(update={name: value for name, value in chosen.items() if value is not None})
    start_logging(settings, process="backend")
    with needs_extra("backend"):
        from helioloop_backend.wsgi import create_app
    tempfile.gettempdir()  # gunicorn needs a file there; an error of it would be a traceback
    app = create_app(settings)  # here, so that wrong settings are one sentence and not the failure of a child process
    check_address(settings)
    serve(app, settings)


def check_address(settings: Settings) -> None:
    """Refuse an address that the backend cannot listen on; gunicorn would try for five seconds and name no setting.

    Raises
    ------
    SettingsError
        If the host is unknown or not of this machine, or the port is taken or reserved.
    """
    host = settings.backend_host
    try:
        # As gunicorn does it: names are looked up as IPv4 addresses, and a restart need not wait.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.getaddrinfo(host, settings.backend_port, family, socket.SOCK_STREAM)
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
    except (OSError, UnicodeError) as error:  # the latter for names that no host can have
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"the backend cannot listen on {settings.backend_address}: {why.lower()}; "
            "choose an address of this machine and a free port with HELIOLOOP_BACKEND_HOST and HELIOLOOP_BACKEND_PORT, "
            "or --host and --port, or stop what listens there"
        ) from None


def serve(app: "Flask", settings: Settings) -> None:
    """Run gunicorn until it is stopped."""
    with needs_extra("backend"):
        from gunicorn.app.base import BaseApplication

        from helioloop_backend.connections import Worker
        from helioloop_backend.server_log import ServerLog

    class Server(BaseApplication):
        """One process, so that the scores are in memory once; everything shared is in Redis and files."""

        def load_config(self) -> None:
            options = {
                "bind": settings.backend_address,
                "workers": 1,
                "worker_class": Worker,
                "threads": settings.backend_threads,
                "graceful_timeout": GRACEFUL_SECONDS,
                "logger_class": ServerLog,
                "control_socket_disable": True,  # it would be in the home folder, and nothing here uses it
                "proc_name": "helioloop-backend",
                "when_ready": lambda _: logger.info("the backend listens on http://%s", settings.backend_address),
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            # A webhook has to be answered within a second; it changes threads several times, and each time it waits
            # for the thread that is computing.
            sys.setswitchinterval(SWITCH_SECONDS)
            return app

    Server().run()
