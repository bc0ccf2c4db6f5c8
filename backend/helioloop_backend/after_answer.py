"""Work that is done after an answer was sent, such as the line in the log about it."""

from collections.abc import Callable

from flask import Response, after_this_request, has_request_context


def after_answer(work: Callable[[], None]) -> None:
    """Do `work` after the answer to the running request was sent; at once outside of a request.

    Label Studio waits for the answer. Writing a line also lets another thread run, which takes several times as long
    as the line itself.
    """
    if not has_request_context():
        work()
        return

    @after_this_request
    def attach(response: Response) -> Response:
        response.call_on_close(work)
        return response
