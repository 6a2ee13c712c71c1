"""
What can go wrong between a task and Revor, and what each error means for the task that meets it.

.. code-block:: text

    AirflowException
    └── RevorError
        ├── RevorTransientError            may heal by itself: Airflow retries the task, a gate goes on waiting
        │   ├── RevorRateLimitError        429: asked too often; ``retry_after`` says how long to stay away
        │   ├── RevorServerError           5xx, 408: Revor could not answer
        │   ├── RevorConnectionError       no answer at all: network, DNS, TLS, timeouts
        │   └── RevorResponseError         an answer that is not the documented JSON
        ├── RevorMissingConnectionError    Airflow found no such connection, or could not read it
        ├── RevorNotFoundError             404
        ├── RevorConflictError             409
        │   └── RevorIdempotencyConflictError  other content under an idempotency key that was used before  (*)
        ├── RevorJobError                  an outreach job failed or was cancelled; trying again may help
        │   └── RevorJobFailedError        … and Revor does not say so                                     (*)
        ├── RevorJobTimeoutError           an outreach job has not ended in the time that a task waits for it
        ├── RevorRequestError              400 and every other 4xx           (*)
        ├── RevorAuthenticationError       401: no key, or not a valid one   (*)
        ├── RevorPermissionError           403: the key may not do this      (*)
        ├── RevorConfigurationError        the Airflow connection cannot be used as it is  (*)
        └── RevorValueError                a bad argument, found before any request; also a ``ValueError``  (*)

    (*) also an ``AirflowFailException``: trying again cannot help, so the task fails at once, without retries.

Every message names Revor's code and message, the request id, the method and path, the Airflow connection and
what to do next. None holds the API key.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException


class RevorError(AirflowException):
    """
    Base of everything that this provider raises.

    :param message: What happened, on which connection, and what to do next.
    :param code: Revor's error code, such as ``api_key_invalid``; None if Revor gave none.
    :param status_code: The HTTP status of the answer; None if there was no answer.
    :param request_id: What Revor's support asks for; None if Revor gave none.
    :param retry_after: Seconds that Revor asks to stay away; None if it did not ask.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status_code: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        # AirflowException declares its own ``status_code`` for the REST API's use.
        self.status_code: int | None = status_code  # type: ignore[assignment]
        self.request_id = request_id
        self.retry_after = retry_after

    def as_dict(self) -> dict[str, Any]:
        """
        Return this error as plain JSON, to carry it from a trigger to the worker.

        :return: What :func:`error_from_dict` turns back into an error of the same class.
        """
        return {
            "error": type(self).__name__,
            "message": str(self),
            "code": self.code,
            "status_code": self.status_code,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
        }


class RevorTransientError(RevorError):
    """May heal by itself: Airflow retries the task, a gate goes on waiting."""


class RevorRateLimitError(RevorTransientError):
    """429: asked too often. All keys of one Revor user share a limit."""


class RevorServerError(RevorTransientError):
    """5xx (or 408): Revor could not answer."""


class RevorConnectionError(RevorTransientError):
    """No answer at all: network, DNS, TLS, timeouts."""


class RevorResponseError(RevorTransientError):
    """An answer that is not the documented JSON: a proxy's page, a cut body, a missing or mistyped field."""


class RevorMissingConnectionError(RevorError):
    """
    The Airflow connection was not found.

    Airflow reports a secrets backend or an API server that cannot be reached in the same way, so Airflow's ``retries``
    apply, and a gate fails only after several minutes of consecutive misses.
    """


class RevorNotFoundError(RevorError):
    """404: what was asked for does not exist."""


class RevorConflictError(RevorError):
    """409: an idempotency conflict, or an account that does not fit the request."""


class RevorIdempotencyConflictError(RevorConflictError, AirflowFailException):
    """409 ``idempotency_conflict``: something else was sent under this idempotency key before."""


class RevorJobError(RevorError):
    """An outreach job failed, and Revor says that trying again may help."""


class RevorJobFailedError(RevorJobError, AirflowFailException):
    """An outreach job failed or was cancelled, and Revor does not say that trying again may help."""


class RevorJobTimeoutError(RevorError):
    """An outreach job has not ended in the time that a task waits for it; it goes on in Revor."""


class RevorRequestError(RevorError, AirflowFailException):
    """400, and every 4xx without a class of its own: the request itself is refused."""


class RevorAuthenticationError(RevorError, AirflowFailException):
    """401: the API key is missing or invalid."""


class RevorPermissionError(RevorError, AirflowFailException):
    """403: the API key lacks a permission."""


class RevorConfigurationError(RevorError, AirflowFailException):
    """The Airflow connection has no API key, or holds something that cannot be used."""


class RevorValueError(RevorError, AirflowFailException, ValueError):
    """A bad argument, found before any request."""


_CLASSES: dict[str, type[RevorError]] = {
    cls.__name__: cls
    for cls in (
        RevorRateLimitError,
        RevorServerError,
        RevorConnectionError,
        RevorResponseError,
        RevorMissingConnectionError,
        RevorNotFoundError,
        RevorConflictError,
        RevorIdempotencyConflictError,
        RevorJobError,
        RevorJobFailedError,
        RevorJobTimeoutError,
        RevorRequestError,
        RevorAuthenticationError,
        RevorPermissionError,
        RevorConfigurationError,
        RevorValueError,
    )
}


def error_from_dict(value: dict[str, Any]) -> RevorError:
    """
    Return the error that :meth:`RevorError.as_dict` wrote down.

    :param value: The plain JSON of an error.
    :return: An error of the same class; a plain :class:`RevorError` for a class not known here.
    """
    return _CLASSES.get(value["error"], RevorError)(
        value["message"],
        code=value.get("code"),
        status_code=value.get("status_code"),
        request_id=value.get("request_id"),
        retry_after=value.get("retry_after"),
    )
