"""Waiting for a Connect account that can really send: the gate before an outreach task."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

from airflow.providers.common.compat.sdk import PokeReturnValue, conf

from airflow_provider_revor.api.accounts import is_nothing, parse_channel
from airflow_provider_revor.api.checks import parse_id
from airflow_provider_revor.api.text import clean_id
from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.rules.gate import ACCOUNTS_QUESTION, Gate
from airflow_provider_revor.rules.pauses import asked_pause, deferral_timeout
from airflow_provider_revor.selection import Strategy, sticky_digest
from airflow_provider_revor.sensors.base import WaitingSensor
from airflow_provider_revor.tasks.endings import is_customised
from airflow_provider_revor.tasks.templates import check_switch, is_known, is_literal
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.triggers.connect import SendableAccountTrigger
    from airflow_provider_revor.typing import OrXCom, WaitingSensorArgs


class SendableAccountSensor(WaitingSensor):
    """
    Wait until a Connect account can send, and hand it on.

    Sendable means what Revor means by it: the account's ``status`` is ``ok`` and its ``can_send`` is true. One such
    account, by default the first in Revor's order, is handed on: its dict as the XCom ``return_value``, its id as the
    XCom ``account_id``, so that ``gate.output["account_id"]`` and ``ti.xcom_pull("gate", key="account_id")`` both
    give the id.

    While it waits it logs why each account cannot send, where to fix that, when it looks again and until when it waits:
    once per change, and every ``log_every`` while nothing changes. A time-out says the same. What heals by itself (rate
    limits, 5xx, network) is logged and waited out, the next poll not before Revor's ``Retry-After``; what does not
    (400, 401, 403, a connection that has no key) fails the task at once, without retries. A connection that Airflow
    does not find is waited out for five minutes; then the task fails, and Airflow's ``retries`` apply. Deferred gates
    of one connection and interval share one request per interval on Airflow 3.3+.

    A wait that lasts can tell people, once, by ``notify_after`` and ``on_waiting_callback``; it goes on meanwhile, with
    the same timeout. The context of the callback, and of a notifier's templates, has ``revor_wait``: a dict with the
    ``message``, all of it in one text, and its parts ``waited``, ``until``, ``reasons`` and ``links`` (``accounts``,
    ``log``), as in ``SlackNotifier(text="{{ revor_wait.message }}", channel="#outreach")``.

    In ``reschedule`` mode each poll is a process of its own, which logs again what it waits for; while the connection
    is not found, the process keeps its worker. ``exponential_backoff`` has no effect on a deferred gate.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param channel: Any account of this channel: ``email``, ``linkedin`` or ``whatsapp``; None, and a template that
        renders to an empty string or ``None``, for any channel. Default: None. (templated)
    :param account_id: That very account; None for any. A template that renders to nothing is an error, not "any".
        Default: None. (templated)
    :param pick: Which one, when several can send: ``first`` in Revor's order; ``random``; or ``sticky``, for each
        ``sticky_key`` always the same one while that one can send, see :func:`.pick_account`. Default: ``first``.
    :param sticky_key: For ``sticky``, and only for it: who always meets the same account. A template that renders to
        nothing is an error. Neither a log nor the trigger of a deferred task shows it, but Airflow shows what a
        template rendered to: better a lead's id than an address. Default: None. (templated)
    :param deferrable: Whether to wait in the triggerer, without a worker. Default: Airflow's
        ``[operators] default_deferrable``.
    :param start_from_trigger: Whether to begin in the triggerer, without a worker even for the first check. It takes
        Airflow 3.3+ and a task that is not mapped, none of whose arguments is a task's output; elsewhere the gate
        defers from a worker, and says so. Default: False.
    :param end_on_worker: Whether a deferred task that succeeds always ends on a worker. Airflow 3.3+ ends it in the
        triggerer, XComs included, unless a worker has more to do: callbacks, hooks, inlets or outlets, listeners, a
        custom XCom backend, tasks mapped over its return value. Default: False.
    :param notify_after: After how many seconds of waiting to call ``on_waiting_callback``, or a timedelta; None for
        never. A deferred gate resumes on a worker for it, and defers again. In ``reschedule`` mode, the process whose
        next look would come later keeps its worker until then; below Airflow 3.3, nobody is told if the next process
        begins later than a ``poke_interval`` after that. Default: None.
    :param on_waiting_callback: A callable that takes the context, a notifier, or a list of these. One that fails is
        logged, and stops neither the others nor the wait. Default: None.
    :param log_every: Seconds, or a timedelta, after which a wait without change is logged again. Default: an hour.
    :param kwargs: What every sensor takes; ``poke_interval`` (seconds or a timedelta, default 60), ``timeout`` (seconds
        or a timedelta), ``soft_fail``, ``never_fail``, ``silent_fail`` and ``execution_timeout`` mean the same whether
        it pokes or is deferred; but a poking sensor, as any of Airflow's, looks at the clock only after a poke.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if ``channel`` is literal and none of Revor's,
        ``pick`` is none of the above, ``sticky`` has no key, or another one has.
    """

    template_fields: Sequence[str] = ("revor_conn_id", "channel", "account_id", "sticky_key")
    ui_color = "#d9f2e6"

    def __init__(
        self,
        *,
        revor_conn_id: OrXCom[str] = "revor_default",
        channel: OrXCom[str | None] = None,
        account_id: OrXCom[str | int | None] = None,
        pick: Strategy = "first",
        sticky_key: OrXCom[str | int | None] = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        end_on_worker: bool = False,
        **kwargs: Unpack[WaitingSensorArgs],
    ) -> None:
        start_from_trigger = check_switch("start_from_trigger", start_from_trigger)
        super().__init__(deferrable=start_from_trigger or deferrable, end_on_worker=end_on_worker, **kwargs)
        if is_known(channel):
            parse_channel(channel)
        if is_known(account_id) and not is_nothing(account_id):
            parse_id("account_id", account_id)
        # What is not known before the task runs is taken for a key.
        sticky_digest(pick, sticky_key if is_known(sticky_key) else "a template")
        self.revor_conn_id = revor_conn_id
        self.channel = channel
        self.account_id = account_id
        self.pick = pick
        self.sticky_key = sticky_key
        self._any_account = account_id is None
        self._wants_start_from_trigger = start_from_trigger
        # A task's output cannot be put into a trigger before that task has run.
        arguments = (revor_conn_id, channel, account_id, sticky_key)
        known = all(isinstance(value, str) or is_literal(value) for value in arguments)
        if start_from_trigger and START_FROM_TRIGGER and known:
            self._start_from_trigger()

    def _start_from_trigger(self) -> None:
        from airflow.triggers.base import StartTriggerArgs

        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="airflow_provider_revor.triggers.connect.SendableAccountTrigger",
            trigger_kwargs={
                "revor_conn_id": self.revor_conn_id,
                "channel": self.channel,
                "account_id": self.account_id,
                "any_account": self._any_account,
                "pick": self.pick,
                "sticky_key": self.sticky_key,
                "poke_interval": self.poke_interval,
                "silent_fail": self.silent_fail,
                "timeout": self.timeout,
                "notify_after": self.notify_after,
                "log_every": self.log_every,
                # What else is left for a worker, such as a callback, the trigger sees in the task that comes with it.
                "end_here": not self.end_on_worker and not is_customised(self, WaitingSensor),
                "push_xcoms": self.do_xcom_push,
            },
            next_method="execute_complete",
            # The trigger gives up first, and says why.
            timeout=deferral_timeout(self.timeout),
        )

    @property
    def _question(self) -> str:
        return ACCOUNTS_QUESTION

    @property
    def _unmet(self) -> str:
        return self._gate().failing

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """
        Ask Revor once.

        :return: The account's dict as the XCom value once it can send; False until then.
        :raises RevorError: for what waiting cannot heal.
        """
        gate = self._gate()
        self._not_before = None
        try:
            with RevorHook.for_polling(str(self.revor_conn_id)) as hook:
                accounts = hook.list_connect_accounts()
        except RevorError as e:
            self._wait_out(e)
            self._not_before = time.time() + asked_pause(e)
            return False
        self._wait_out(None)
        if account := gate.find(accounts):
            self.log.info("Account %s can send on %s.", account.label, clean_id(account.channel))
            return PokeReturnValue(is_done=True, xcom_value=self._hand_over(context, account.as_dict()))
        self._wait_log.waiting(*gate.reasons(accounts))
        return False

    def _succeed(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        return self._hand_over(context, event["account"])

    def _defer(self, waited: float) -> NoReturn:
        if self._wants_start_from_trigger:
            self.log.warning(
                "This gate cannot start from the trigger, which takes a scheduler of Airflow 3.3+, a task that is not "
                "mapped, and no task's output among its arguments: it defers from the worker."
            )
        super()._defer(waited)

    def _trigger(self, **wait: Any) -> SendableAccountTrigger:
        from airflow_provider_revor.triggers.connect import SendableAccountTrigger

        self._warn_of_own_poke(SendableAccountSensor)
        gate = self._gate()
        return SendableAccountTrigger(
            revor_conn_id=str(self.revor_conn_id),
            channel=gate.channel.value if gate.channel else None,
            account_id=gate.account_id,
            pick=gate.pick,
            # Not the key: it may be personal data, and Airflow stores what a worker defers with as it is.
            sticky_digest=gate.digest,
            **wait,
        )

    def _gate(self) -> Gate:
        return Gate.of(
            channel=self.channel,
            account_id=self.account_id,
            any_account=self._any_account,
            pick=self.pick,
            sticky_key=self.sticky_key,
        )

    def _hand_over(self, context: Context, account: dict[str, Any]) -> dict[str, Any]:
        # A Dag author's own test may poke without a task instance.
        if self.do_xcom_push and (ti := context.get("ti")):
            ti.xcom_push(key="account_id", value=account["account_id"])
        return account
