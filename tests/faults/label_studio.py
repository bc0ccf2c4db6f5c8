"""Serves the in-memory fake of Label Studio over HTTP, so that workers call it with the real client.

It answers the routes that `LabelStudioClient` calls. Trouble can be made for all calls: errors before or after a call
had its effect, slow answers, and a web page in place of JSON.
"""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from helioloop.errors import LabelStudioError
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.port import PredictionRow

Trouble = Literal["none", "refusing", "forgetful", "slow", "page"]
"""Refusing answers 500 and does nothing; forgetful does what it should and answers 500; slow waits for up to 3 s."""
TROUBLES: Final[tuple[Trouble, ...]] = ("refusing", "forgetful", "slow", "page")
_Query = Mapping[str, list[str]]
_FRACTION: Final = 0.6
"""Fraction of the calls that are troubled."""


class ServedLabelStudio:
    """The fake at an address of loopback.

    Parameters
    ----------
    seed : int
        Of the calls that are troubled.

    Attributes
    ----------
    lock : RLock
        Held during each call; a test holds it while it works on the fake itself.
    trouble : str
        What happens to calls now.
    projects : list of int
        The projects that the driver has created.
    """

    def __init__(self, *, seed: int) -> None:
        self.fake, self.lock = FakeLabelStudio(), threading.RLock()
        self.trouble: Trouble = "none"
        self.projects: list[int] = []
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._server = _server(self)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, address: str, body: Any) -> tuple[int, Any]:
        """Return status and content of an answer; content that is text is a web page."""
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        trouble = self.trouble if self.trouble != "none" and self._random.random() < _FRACTION else "none"
        if trouble == "slow":
            time.sleep(self._random.uniform(0.0, 3.0))
        elif trouble == "page":
            return 200, "<html>log in</html>"
        elif trouble == "refusing":
            return 500, {"detail": "made by the test"}
        with self.lock:
            try:
                status, content = self._call(method, parts.path.strip("/"), query, body)
            except LabelStudioError as error:
                return 404, {"detail": str(error)}
        return (500, {"detail": "made by the test"}) if trouble == "forgetful" else (status, content)

    def _call(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> tuple[int, Any]:
        for of, pattern, route in _ROUTES:
            if of == method and (match := re.fullmatch(pattern, path)):
                number = int(match[1]) if match.groups() else int(query["project"][0]) if "project" in query else 0
                content = route(self, number, query, body)
                return 204 if content is None else 200, content
        return 404, {"detail": f"{method} {path} is not served here"}

    def _project(self, project: int, _: _Query, __: Any) -> Any:
        info = self.fake.project(project)
        assert info.counts is not None
        return {
            "id": project,
            "title": info.title,
            "label_config": info.label_config,
            "model_version": info.model_version,
            "description": info.description,
            "created_at": info.created_at,
            "task_number": info.counts.tasks,
            "num_tasks_with_annotations": sum(bool(task["annotations"]) for task in self.fake.tasks(project)),
            "total_annotations_number": info.counts.annotations,
            "skipped_annotations_number": info.counts.skips,
        }

    def _change_project(self, project: int, _: _Query, body: Any) -> Any:
        if "model_version" in body:
            self.fake.set_model_version(project, body["model_version"])
        if "description" in body:
            self.fake.set_description(project, body["description"])
        return {"id": project}

    def _export(self, project: int, query: _Query, _: Any) -> Any:
        tasks = self.fake.tasks(project) if "download_all_tasks" in query else self.fake.annotated_tasks(project)
        wanted = {int(number) for number in query.get("ids[]", [])}
        return [task for task in tasks if not wanted or task["id"] in wanted]

    def _versions(self, project: int, _: _Query, __: Any) -> Any:
        return self.fake.model_versions(project)

    def _import(self, project: int, _: _Query, body: Any) -> Any:
        self.fake.import_predictions(project, body)
        return {"created": len(body)}

    def _tasks(self, project: int, query: _Query, _: Any) -> Any:
        return {"tasks": self._listed(project, json.loads(query["query"][0]), int(query["page_size"][0]))}

    def _predictions(self, project: int, _: _Query, __: Any) -> Any:
        return [_row(row) for row in self.fake.predictions(project)]

    def _set_field(self, project: int, _: _Query, body: Any) -> Any:
        tasks = body["selectedItems"]["included"]
        value, replaced = body["value"], None
        if body["value_type"] == "Expression":  # replace("old", "new")
            replaced, value = json.loads(f"[{body['value'].removeprefix('replace(').removesuffix(')')}]")
        self.fake.set_data_field(project, tasks, body["value_name"], value, replaced=replaced)
        return {"detail": f"Updated {len(tasks)} tasks"}

    def _tabs(self, project: int, _: _Query, __: Any) -> Any:
        return [{"id": tab.id, "project": project, "data": tab.settings} for tab in self.fake.tabs(project)]

    def _create_tab(self, _: int, __: _Query, body: Any) -> Any:
        return {"id": self.fake.create_tab(body["project"], body["data"]), "data": body["data"]}

    def _change_tab(self, tab: int, _: _Query, body: Any) -> Any:
        self.fake.change_tab(body["project"], tab, body["data"])
        return {"id": tab, "data": body["data"]}

    def _delete_version(self, project: int, _: _Query, body: Any) -> Any:
        self.fake.delete_version(project, body["model_version"])
        return {"deleted": 1}

    def _delete_prediction(self, number: int, _: _Query, __: Any) -> Any:
        self.fake.delete_predictions([self._row_of(number)])

    def _rescore(self, number: int, _: _Query, body: Any) -> Any:
        change = self.fake.rewrite if "result" in body else self.fake.rescore
        change(self._row_of(number), body if "result" in body else body["score"])
        return {"id": number, "score": body["score"]}

    def _listed(self, project: int, query: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
        """Return tasks as the Data Manager lists them."""
        tasks = {task["id"]: task for task in self.fake.tasks(project)}
        chosen = list(tasks.values())
        if "selectedItems" in query:
            chosen = [tasks[number] for number in query["selectedItems"]["included"] if number in tasks]
        for rule in query.get("filters", {}).get("items", ()):
            if rule["filter"] == "filter:tasks:id":
                chosen = [task for task in chosen if task["id"] > rule["value"]]
            else:
                since = rule["value"].replace("Z", "+00:00")
                chosen = [task for task in chosen if task["updated_at"] >= since]
        newest_first = query["ordering"] == ["-tasks:updated_at"]
        chosen.sort(key=lambda task: task["updated_at"] if newest_first else task["id"], reverse=newest_first)
        now = {task.id: task for task in self.fake.tasks_now(project, [task["id"] for task in chosen[:count]])}
        return [{**task, "predictions": [_row(row) for row in now[task["id"]].predictions]} for task in chosen[:count]]

    def _row_of(self, number: int) -> PredictionRow:
        found = [row for project in self.projects for row in self.fake.predictions(project) if row.id == number]
        if not found:
            raise LabelStudioError(f"there is no prediction {number}")
        return found[0]


_ROUTES: Final[tuple[tuple[str, str, Callable[[ServedLabelStudio, int, _Query, Any], Any]], ...]] = (
    ("GET", r"api/projects/(\d+)", ServedLabelStudio._project),
    ("PATCH", r"api/projects/(\d+)", ServedLabelStudio._change_project),
    ("GET", r"api/projects/(\d+)/export", ServedLabelStudio._export),
    ("GET", r"api/projects/(\d+)/model-versions", ServedLabelStudio._versions),
    ("DELETE", r"api/projects/(\d+)/model-versions", ServedLabelStudio._delete_version),
    ("POST", r"api/projects/(\d+)/import/predictions", ServedLabelStudio._import),
    ("GET", r"api/tasks", ServedLabelStudio._tasks),
    ("GET", r"api/predictions", ServedLabelStudio._predictions),
    ("DELETE", r"api/predictions/(\d+)", ServedLabelStudio._delete_prediction),
    ("PATCH", r"api/predictions/(\d+)", ServedLabelStudio._rescore),
    ("POST", r"api/dm/actions", ServedLabelStudio._set_field),
    ("GET", r"api/dm/views", ServedLabelStudio._tabs),
    ("POST", r"api/dm/views", ServedLabelStudio._create_tab),
    ("PATCH", r"api/dm/views/(\d+)", ServedLabelStudio._change_tab),
)


def _row(row: PredictionRow) -> dict[str, Any]:
    return {"id": row.id, "task": row.task, "model_version": row.model_version, "score": row.score}


def _server(served: ServedLabelStudio) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        disable_nagle_algorithm = True

        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = served.answer(self.command, self.path, json.loads(raw) if raw else None)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            with suppress(OSError):  # the caller was killed, or has given up
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
                self.send_header("Content-Length", str(0 if status == 204 else len(data)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Say nothing of callers that were killed."""

    return Server(("127.0.0.1", 0), Handler)
