"""
The errors of this provider, and what each one means for the task that meets it.

.. code-block:: text

    AirflowException
    └── RevorError
        ├── RevorTransientError            may pass: Airflow retries the task, a gate keeps waiting
        │   ├── RevorRateLimitError        429, or too many jobs at once; ``retry_after`` says how long to wait
        │   ├── RevorServerError           5xx, 408: Revor could not respond
        │   ├── RevorConnectionError       no response: network, DNS, TLS, timeouts
        │   └── RevorResponseError         a response that is not the documented JSON, of whatever status below 500
        ├── RevorMissingConnectionError    Airflow found no such connection, or could not read it
        ├── RevorNotFoundError             404: the account, job or endpoint does not exist
        ├── RevorConflictError             409: the account does not fit the request, or cannot be used now
        │   └── RevorIdempotencyConflictError  other content under an idempotency key that was used before  (*)
        ├── RevorJobError                  an outreach job failed or was cancelled; a retry may help
        │   └── RevorJobFailedError        … and Revor does not say so                                     (*)
        ├── RevorBatchError                more messages of a batch failed than it allows; a retry may help
        │   └── RevorBatchFailedError      … and no retry can send one of them                             (*)
        ├── RevorJobTimeoutError           an outreach job did not end in the time that a task waits for it
        ├── RevorRequestError              400, 422 and other 4xx: the request is rejected                 (*)
        ├── RevorAuthenticationError       401: no API key, or not a valid one                             (*)
        ├── RevorPermissionError           403: the API key lacks a permission                             (*)
        ├── RevorPlanError                 credits are used up, or the plan lacks the feature              (*)
        ├── RevorConfigurationError        the Airflow connection cannot be used as it is                  (*)
        └── RevorValueError                a bad argument, found before any request; also a ``ValueError`` (*)

    (*) also an ``AirflowFailException``: a retry cannot help, so the task fails at once, without retries.

A status means this only in Revor's own envelope. A 4xx without it, such as a proxy's login page, is a
:class:`RevorResponseError`. Where a code says more than the status, the code decides.

A message begins with what is wrong and on which connection, then says what to do, and ends with the technical rest:
``The API key is not valid on connection 'revor_default'. Put a valid one into the password of … [GET
/api/v1/connect/accounts: 401 api_key_invalid, request_id req_1]``. No error holds the API key.
"""

from __future__ import annotations

from typing import Any, Self

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException


class RevorError(AirflowException):
    """
    Base class of everything that this provider raises.

    :param message: The whole message: what is wrong, what to do, and the technical rest.
    :param reason: What is wrong and on which connection, in one sentence. Default: the message.
    :param advice: What to do; None if the message does not keep it apart.
    :param code: Revor's error code, such as ``api_key_invalid``; None if there is none.
    :param status_code: The HTTP status of the response; None if there was no response.
    :param request_id: The id that Revor's support asks for; None if there is none.
    :param retry_after: Seconds to wait before the next request, as Revor asked; None if it did not ask.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        advice: str | None = None,
        code: str | None = None,
        status_code: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = message if reason is None else reason
        self.advice = advice
        self.code = code
        # AirflowException declares its own ``status_code`` for the REST API's use.
        self.status_code: int | None = status_code  # type: ignore[assignment]
        self.request_id = request_id
        self.retry_after = retry_after
        #: Whether the log has the reason and the advice already.
        self.is_logged = False

    @classmethod
    def of(cls, reason: str, advice: str, technical: str | None = None, words: str | None = None, **known: Any) -> Self:
        """
        Return an error whose message is made of its parts.

        :param reason: What is wrong and on which connection, in one sentence.
        :param advice: What to do.
        :param technical: The rest, such as method, path, status, code and request id; None for an error that no
            request led to.
        :param words: What the response says, where the reason does not quote it.
        :param known: ``code``, ``status_code``, ``request_id`` and ``retry_after``, where they are known.
        """
        quoted = f' The response says: "{words}"' if words else ""
        rest = f" [{technical}]" if technical else ""
        return cls(f"{reason} {advice}{quoted}{rest}", reason=reason, advice=advice, **known)

    def as_dict(self) -> dict[str, Any]:
        """
        Return this error as plain JSON, to carry it from a trigger to the worker.

        :return: The dict that :func:`error_from_dict` turns back into an error of the same class.
        """
        return {
            "error": type(self).__name__,
            "message": str(self),
            "reason": self.reason,
            "advice": self.advice,
            "code": self.code,
            "status_code": self.status_code,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
        }


class RevorTransientError(RevorError):
    """May pass by itself: Airflow retries the task, a gate keeps waiting."""


class RevorRateLimitError(RevorTransientError):
    """
    Too many requests (429) or too many jobs at once: wait ``retry_after`` seconds, then try again.

    All keys of one Revor user share their limits.
    """


class RevorServerError(RevorTransientError):
    """Revor, or a gateway before it, could not respond (5xx, 408): try again later."""


class RevorConnectionError(RevorTransientError):
    """No response: network, DNS, TLS, timeouts."""


class RevorResponseError(RevorTransientError):
    """
    A response that is not the documented JSON: a proxy's page, a cut body, a missing or mistyped field.

    Whoever sent it, it is not Revor's word, so it fails nothing for good.
    """


class RevorMissingConnectionError(RevorError):
    """
    The Airflow connection was not found.

    Airflow reports a secrets backend or an API server that cannot be reached in the same way, so Airflow's ``retries``
    apply, and a gate fails only after several minutes of consecutive misses.
    """


class RevorNotFoundError(RevorError):
    """The account, job or endpoint does not exist (404): Airflow retries the task, a gate fails."""


class RevorConflictError(RevorError):
    """The account does not fit the request or cannot be used now, or a job was not cancelled (409): Airflow retries."""


class RevorIdempotencyConflictError(RevorConflictError, AirflowFailException):
    """Other content was sent under this idempotency key before: nothing was sent now, and the task fails at once."""


class RevorJobError(RevorError):
    """An outreach job failed, and Revor says that a retry may help: Airflow retries the task."""


class RevorJobFailedError(RevorJobError, AirflowFailException):
    """An outreach job failed or was cancelled, and a retry would not help: the task fails at once."""


class RevorBatchError(RevorError):
    """More messages failed than ``max_failed`` allows, or none was sent."""


class RevorBatchFailedError(RevorBatchError, AirflowFailException):
    """More messages failed than ``max_failed`` allows, or none was sent; a retry would send none of them."""


class RevorJobTimeoutError(RevorError):
    """An outreach job did not end in the time that a task waits for it; it continues in Revor."""


class RevorRequestError(RevorError, AirflowFailException):
    """Revor rejects the request itself (400, 422, other 4xx): the task fails at once."""


class RevorAuthenticationError(RevorError, AirflowFailException):
    """The API key is missing or not valid (401): the task fails at once."""


class RevorPermissionError(RevorError, AirflowFailException):
    """The API key lacks a permission (403): the task fails at once."""


class RevorPlanError(RevorError, AirflowFailException):
    """Credits are used up, or the plan lacks the feature: the task fails at once, and a person must act."""


class RevorConfigurationError(RevorError, AirflowFailException):
    """The Airflow connection has no API key, or a field that cannot be used: the task fails at once."""


class RevorValueError(RevorError, AirflowFailException, ValueError):
    """A bad argument, found before any request: the task fails at once."""


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
        RevorBatchError,
        RevorBatchFailedError,
        RevorJobTimeoutError,
        RevorRequestError,
        RevorAuthenticationError,
        RevorPermissionError,
        RevorPlanError,
        RevorConfigurationError,
        RevorValueError,
    )
}


def error_from_dict(value: dict[str, Any]) -> RevorError:
    """
    Return the error that :meth:`RevorError.as_dict` wrote.

    :param value: The plain JSON of an error; ``reason`` and ``advice`` may be missing, as in older versions.
    :return: An error of the same class; a plain :class:`RevorError` for a class not known here.
    """
    return _CLASSES.get(value["error"], RevorError)(
        value["message"],
        reason=value.get("reason"),
        advice=value.get("advice"),
        code=value.get("code"),
        status_code=value.get("status_code"),
        request_id=value.get("request_id"),
        retry_after=value.get("retry_after"),
    )
