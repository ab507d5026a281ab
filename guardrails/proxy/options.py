"""The ``guardrails`` object of a request: what callers may say about checking, and nothing else.

It is read from the top level of the body, taken out, and checked against what the key may do.
Nothing else in a request is ever read as such an object: not the text of a message, not
``metadata``, not what a client library calls ``extra_body``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from guardrails._faults import first_fault
from guardrails.engine import UNSET, Options
from guardrails.errors import RequestRefused
from guardrails.proxy.limits import check_sources
from guardrails.proxy.policies import NO_POLICY

if TYPE_CHECKING:
    from guardrails._proxy_settings import LimitSettings, RouteRule
    from guardrails.proxy.auth import Caller
    from guardrails.proxy.policies import PolicyBook

KEY: Final = "guardrails"

_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Short = Annotated[str, StringConstraints(max_length=2000)]


class SourceIn(BaseModel):
    """One source to check the answer against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    id: _Name | None = None
    title: _Short | None = None
    uri: _Short | None = None
    timestamp: _Name | None = None


class RequestOptions(BaseModel):
    """What a request may say about how its answer is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: Annotated[
        list[str | SourceIn] | None,
        Field(description="All the evidence there is. Left out: what is found in the messages."),
    ] = None
    question: Annotated[
        str | None, Field(description="What was asked; by default the last user message.")
    ] = None
    policy: Annotated[
        _Name | None, Field(description="A policy of the proxy's, by name, or `none`.")
    ] = None
    route: Annotated[_Name | None, Field(description="A route of the policy.")] = None
    metadata: Annotated[
        dict[_Name, _Short] | None,
        Field(max_length=16, description="What to find the record by."),
    ] = None
    report: Annotated[
        Literal["full", "short", "none"], Field(description="How much of the report comes back.")
    ] = "short"


@dataclass(frozen=True, slots=True)
class Asked:
    """What holds for one request, after the key's permissions and the configuration.

    Attributes:
        verify: Whether the answer is checked at all.
        options: For the engine.
        read_messages: Whether evidence in the messages counts.
        report: How much of the report comes back.
    """

    verify: bool
    options: Options
    read_messages: bool
    report: Literal["full", "short", "none"]


def take_options(body: dict[str, Any]) -> RequestOptions:
    """Take the object out of a request's body, and read it.

    Raises:
        RequestRefused: Names the key; holds no value.
    """
    given = body.pop(KEY, None)
    return NOTHING_ASKED if given is None else read_options(given)


def read_options(given: object) -> RequestOptions:
    """The object, read; see :func:`take_options`."""
    try:
        # Strict as JSON is: a number is no text.
        return RequestOptions.model_validate(given, strict=True)
    except ValidationError as error:
        where, why = first_fault(error, KEY)
        known = ", ".join(RequestOptions.model_fields)
        raise RequestRefused(
            f"{where[:200]}: {why}; nothing was sent.",
            hint=f"The guardrails object has: {known}.",
            param=where[:200],
        ) from None


NOTHING_ASKED: Final = RequestOptions()


def settle(
    asked: RequestOptions,
    caller: Caller,
    rule: RouteRule,
    book: PolicyBook,
    limits: LimitSettings,
    *,
    model: str | None,
) -> Asked:
    """What holds for a request.

    Args:
        asked: The request's own object.
        caller: Whose key it is.
        rule: What the configuration says for this path and model.
        book: The policies that may be named.
        limits: On sources.
        model: The model it asks for, or None where none is called.

    Raises:
        NotAllowed: If the key may not ask for this.
        RequestTooLarge: If the sources are too many or too long.
        RequestRefused: If there is no such policy.
    """
    named = [name for name in (asked.policy, asked.route) if name is not None]
    caller.need(sources=asked.sources is not None, names=named, model=model)
    if asked.sources is not None:
        check_sources([s if isinstance(s, str) else s.text for s in asked.sources], limits)
    policy = asked.policy or rule.policy
    metadata = dict(asked.metadata or {})
    options = Options(
        sources=None if asked.sources is None else [_plain(source) for source in asked.sources],
        question=asked.question,
        policy=None if policy is None or policy == NO_POLICY else book.get(policy),
        route=asked.route or rule.route,
        retriever=UNSET if rule.retriever is None else book.retriever(rule.retriever),
        metadata={**metadata, "proxy.key": caller.key_id},
    )
    return Asked(
        verify=policy != NO_POLICY,
        options=options,
        read_messages=rule.from_messages is not False,
        report=asked.report,
    )


def _plain(source: str | SourceIn) -> object:
    return source if isinstance(source, str) else source.model_dump(exclude_none=True)
