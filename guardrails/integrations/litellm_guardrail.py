"""groundrail inside LiteLLM's own proxy: a guardrail class to name in its configuration.

::

    guardrails:
      - guardrail_name: groundrail
        litellm_params:
          guardrail: guardrails.integrations.litellm_guardrail.GroundrailGuardrail
          mode: [pre_call, post_call]
          default_on: true

Written against LiteLLM 1.106, whose proxy calls these hooks. Its SDK does not: there a synchronous
call runs no hook at all and a stream's hook may fail unnoticed, so outside of the proxy the class
refuses to be made. See ``guardrails/docs/litellm.md``.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from litellm._logging import verbose_proxy_logger
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.types.guardrails import GuardrailEventHooks, LitellmParams

from guardrails.client import Guard
from guardrails.effects import Called
from guardrails.engine import UNSET, Options
from guardrails.errors import Blocked, ConfigInvalid
from guardrails.gateway import provider_failed
from guardrails.integrations._litellm_calls import (
    Answers,
    answers_of,
    cost_in,
    messages_of,
    options_of,
    record_metadata,
    refuse_modes,
    trusted_of,
)
from guardrails.integrations._litellm_streams import Codec, wire_of, with_report
from guardrails.integrations._litellm_told import failed, http_error, summaries, summary
from guardrails.integrations._stream_fold import error_in, fold
from guardrails.report import Entry
from verifiers.errors import GroundrailError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from guardrails._flow_values import Job
    from guardrails.effects import CallModel
    from guardrails.integrations._stream_fold import Event, Wire
    from guardrails.report import Guarded, Report

# Answers decided for a deployment come by again on their way out of the proxy.
_REMEMBERED: Final = 1024
_SERVER_ERROR: Final = 500
_QUOTED: Final = "Original Response"
_HOOKS: Final = [GuardrailEventHooks.pre_call, GuardrailEventHooks.post_call]


class GroundrailGuardrail(CustomGuardrail):  # type: ignore[misc]  # LiteLLM has no types here
    """Checks every answer that LiteLLM's proxy gives on the routes it shows to guardrails."""

    def __init__(
        self,
        guardrail_name: str | None = None,
        event_hook: object = None,
        default_on: bool | None = False,  # noqa: FBT001, FBT002 - LiteLLM's own signature
        groundrail: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> None:
        """Called by LiteLLM with the guardrail's ``litellm_params``.

        Args:
            guardrail_name: As in the configuration.
            event_hook: ``mode`` in the configuration.
            default_on: Whether it runs for every request, or only where it is asked for.
            groundrail: Our own options; see ``GuardrailOptions``.
            **params: What LiteLLM passes besides.

        Raises:
            ConfigInvalid: If answers would go unchecked. Not a ``ValueError``, for which LiteLLM
                would start without the guardrail.
            GroundrailError: If policy or model cannot be loaded.
        """
        self.options = options_of(groundrail)
        refuse_modes(event_hook)
        _refuse_params(params)
        if "litellm.proxy.proxy_server" not in sys.modules:
            raise ConfigInvalid(
                "This guardrail works in LiteLLM's proxy only; nothing was set up.",
                hint="LiteLLM's SDK runs no hook for synchronous calls and goes on when one for a "
                "stream fails. In Python, call through guardrails.Guard instead.",
            )
        super().__init__(
            guardrail_name=guardrail_name,
            supported_event_hooks=list(_HOOKS),
            event_hook=event_hook,
            default_on=bool(default_on),
            **params,
        )
        if not default_on:
            verbose_proxy_logger.warning(
                "groundrail: guardrail %r is not default_on, so answers are checked only where a "
                "request, key, team or model asks for it",
                guardrail_name,
            )
        self._guard = Guard(self.options.policy, settings=_path(self.options.settings))
        self._guard.policy.for_route(self.options.route)
        self._decided: OrderedDict[int, object] = OrderedDict()
        if self.options.warm:
            self._guard.warm()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """LiteLLM looks for hooks in the very class it has, not in what it inherits."""
        super().__init_subclass__(**kwargs)
        for name in (
            "async_pre_call_hook",
            "async_post_call_failure_hook",
            "async_post_call_success_hook",
            "async_post_call_streaming_iterator_hook",
        ):
            if name not in vars(cls):
                setattr(cls, name, getattr(cls, name))

    @classmethod
    def get_supported_event_hooks(cls) -> list[GuardrailEventHooks]:
        """For LiteLLM's own pages."""
        return list(_HOOKS)

    def apply_stream_scope(self, stream_scope: object) -> None:
        """LiteLLM sets ``stream_scope`` by this.

        Raises:
            ConfigInvalid: If it would let streams, or all but streams, out unchecked.
        """
        super().apply_stream_scope(stream_scope)
        if {self.stream_scope_default, *(scope for _, scope in self.stream_scope_by_hook)} != {
            "both"
        }:
            raise ConfigInvalid(
                "stream_scope would let answers out unchecked; LiteLLM was not started.",
                hint="Leave stream_scope out.",
            )

    def update_in_memory_litellm_params(
        self,
        litellm_params: LitellmParams,  # noqa: ARG002 - LiteLLM's signature
    ) -> None:
        """Refused: values set past the constructor are checked by nobody.

        Raises:
            ConfigInvalid: Always.
        """
        raise ConfigInvalid(
            "The settings of a running guardrail cannot be changed; the old ones stay.",
            hint="Change the configuration and restart LiteLLM's proxy.",
        )

    # ------------------------------------------------------------------ before the call

    async def async_pre_call_hook(
        self,
        user_api_key_dict: Any,  # noqa: ARG002 - LiteLLM's signature
        cache: Any,  # noqa: ARG002
        data: dict[str, Any],
        call_type: Any,
    ) -> dict[str, Any] | None:
        """Refuse what could not be checked afterwards; change nothing."""
        if self.options.unseen == "refuse" and answers_of(call_type) is Answers.UNSEEN:
            raise http_error(
                403,
                ConfigInvalid(
                    "LiteLLM shows the answers of this route to no guardrail; nothing was sent.",
                    hint="Use /v1/chat/completions, /v1/responses or /v1/messages. An operator may "
                    "set groundrail.unseen to allow.",
                ),
            )
        if not isinstance(data.get("stream"), bool | None):
            # LiteLLM takes only true for a stream; a provider may take more, and answer with one.
            raise http_error(
                400,
                ConfigInvalid(
                    "stream is neither true nor false; nothing was sent.",
                    hint="Write true or false.",
                ),
            )
        if self.options.trusted_metadata:
            try:
                trusted_of(data)
            except ConfigInvalid as error:
                raise http_error(400, error) from error
        return None

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],  # noqa: ARG002 - LiteLLM's signature
        original_exception: Exception,
        user_api_key_dict: Any,  # noqa: ARG002
        traceback_str: str | None = None,  # noqa: ARG002
    ) -> HTTPException | None:
        """Tell a failed call without quoting the provider: LiteLLM's errors quote its answers.

        What the caller can mend (HTTP 4xx) stays as it is.
        """
        status = getattr(original_exception, "status_code", None)
        theirs = isinstance(status, int) and status < _SERVER_ERROR
        if isinstance(original_exception, HTTPException) or (
            theirs and _QUOTED not in str(original_exception)
        ):
            return None
        told = http_error(
            status if isinstance(status, int) else _SERVER_ERROR,
            provider_failed(original_exception),
        )
        if isinstance(getattr(original_exception, "message", None), str):
            # On /v1/messages LiteLLM tells the first error all the same.
            original_exception.message = told.detail  # type: ignore[attr-defined]
        return told

    # ------------------------------------------------------------------ whole answers

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> Any:
        """Check a whole answer; what this returns is what the caller gets."""
        kind = _kind(data, user_api_key_dict)
        if kind is Answers.NONE or self._decided.get(id(response)) is response:
            return response
        if kind is Answers.UNSEEN and self.options.unseen == "allow":
            return response
        guarded = await self._checked(data, user_api_key_dict, response)
        answer = guarded.response
        if self.options.report:
            answer = _with_report(answer, guarded.reports)
        self._decided[id(answer)] = answer
        while len(self._decided) > _REMEMBERED:
            self._decided.popitem(last=False)
        return answer

    # ------------------------------------------------------------------ streams

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: AsyncIterator[Any], request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Hold a stream until its answer was decided; then release it, or what became of it."""
        kind, wire = _kind(request_data, user_api_key_dict), _wire(request_data, user_api_key_dict)
        if kind is Answers.NONE or (kind is Answers.UNSEEN and self.options.unseen == "allow"):
            async for item in response:
                yield item
            return
        async for item in self._held(request_data, user_api_key_dict, response, Codec(wire)):
            yield item

    async def _held(
        self, data: dict[str, Any], caller: Any, response: AsyncIterator[Any], codec: Codec
    ) -> AsyncGenerator[Any, None]:
        events: list[Event] = []
        natives: list[Any] = []  # beside each event what it came in, where that was it alone
        try:
            async for item in response:
                found = codec.read(item)
                events += found
                natives += [item] if len(found) == 1 else [None] * len(found)
            broken = error_in(events)
            whole = None if broken is not None else fold(codec.wire, events)
        except GroundrailError as error:
            self._log(data, (), failed=error)
            raise failed(error) from error
        if whole is None:
            yield codec.write(broken or {})
            return
        guarded = await self._checked(data, caller, whole)
        if guarded.response is not whole:
            events = codec.told(guarded.response)
            natives = [None] * len(events)
        if self.options.report:
            place = with_report(codec.wire, events, summaries(guarded.reports))
            if place is not None:
                natives[place] = None
        for event, native in zip(events, natives, strict=True):
            yield codec.write(event) if native is None or codec.wire == "messages" else native

    # ------------------------------------------------------------------ what both need

    async def _checked(self, data: dict[str, Any], caller: Any, response: Any) -> Guarded[Any]:
        """The answer as decided, or the error that LiteLLM is to answer with."""
        job, options = await self._job(data, caller)

        async def given(_: CallModel) -> Called:
            return Called(response, cost_in(response))

        try:
            hands = self._guard.engine.hands(job, options, acall=given)
            guarded: Guarded[Any] = await self._guard.engine.arun(job, hands, options)
        except Exception as error:
            self._log(data, getattr(error, "reports", None) or (), failed=error)
            raise failed(error) from error
        self._log(data, guarded.reports)
        return guarded

    async def _job(self, data: dict[str, Any], caller: Any) -> tuple[Job, Options]:
        import asyncio

        try:
            said = trusted_of(data) if self.options.trusted_metadata else {}
            options = Options(
                sources=said.get("sources"),
                question=said.get("question"),
                route=said.get("route", self.options.route),
                retriever=UNSET,
                metadata=record_metadata(data, caller, self.guardrail_name),
            )
            make = partial(
                self._guard.engine.job,
                Entry.PROXY,
                options,
                messages=messages_of(data),
                can_regenerate=False,
                model=data.get("model") if isinstance(data.get("model"), str) else None,
            )
            return await asyncio.to_thread(make), options
        except Exception as error:
            self._log(data, (), failed=error)
            raise failed(error) from error

    def _log(
        self, data: dict[str, Any], reports: tuple[Report, ...], *, failed: Exception | None = None
    ) -> None:
        """For LiteLLM's own logs: what was decided, without a word of the conversation."""
        changed = any(report.text != report.answer for report in reports)
        status = "guardrail_intervened" if changed or isinstance(failed, Blocked) else "success"
        if failed is not None and not isinstance(failed, Blocked):
            status = "guardrail_failed_to_respond"
        self.add_standard_logging_guardrail_information_to_request_data(
            guardrail_json_response=[summary(report) for report in reports],
            request_data=data,
            guardrail_status=status,
            event_type=GuardrailEventHooks.post_call,
        )


def _refuse_params(params: Mapping[str, Any]) -> None:
    if params.get("run_in_parallel"):
        raise ConfigInvalid(
            "run_in_parallel throws away what a guardrail changes; LiteLLM was not started.",
            hint="Leave run_in_parallel out.",
        )
    unknown = sorted(set(params) - set(LitellmParams.model_fields))
    if unknown:
        raise ConfigInvalid(
            f"litellm_params.{unknown[0]} is no parameter of a guardrail; LiteLLM was not started.",
            hint="groundrail's own options stand under litellm_params.groundrail.",
        )


def _path(path: Any) -> Any:
    return None if path is None else str(path)


def _call_types(data: Mapping[str, Any], caller: Any) -> list[Any]:
    """What LiteLLM calls the call in hand: by its route, and in its logs."""
    from litellm.litellm_core_utils.api_route_to_call_types import get_call_types_for_route

    route = getattr(caller, "request_route", None)
    types = (get_call_types_for_route(route) if isinstance(route, str) else None) or ()
    logged = getattr(data.get("litellm_logging_obj"), "call_type", None)
    return [name for name in (*types, logged) if name]


def _kind(data: Mapping[str, Any], caller: Any) -> Answers:
    kinds = {answers_of(name) for name in _call_types(data, caller)}
    if Answers.CHECKED in kinds or not kinds:
        return Answers.CHECKED
    return Answers.NONE if kinds == {Answers.NONE} else Answers.UNSEEN


def _wire(data: Mapping[str, Any], caller: Any) -> Wire:
    wires = (wire_of(name) for name in _call_types(data, caller))
    return next((wire for wire in wires if wire is not None), "chat")


def _with_report(answer: Any, reports: tuple[Report, ...]) -> Any:
    """The answer with what was found beside it. It is our caller's own object or our copy."""
    said = summaries(reports)
    if isinstance(answer, dict):
        return {**answer, "guardrails": said}
    answer.guardrails = said
    return answer
