"""The error tree of ``guardrails``. The root is ``verifiers.errors.GroundrailError``.

::

    GroundrailError                     GR000  everything we raise
    └── GuardrailsError                 GR300  the guarded call failed
        ├── Blocked                     GR301  the policy did not let the answer through
        ├── ConfigInvalid               GR302  settings or arguments that make no sense
        ├── NameCollision               GR303  another distribution owns one of our import names
        ├── ProviderFailed              GR304  the model call failed; the original is the cause
        ├── ResponseUnreadable          GR305  a response of a type we cannot read or write
        ├── RetrieverFailed             GR306  a registered retriever raised or returned nonsense
        ├── StoreUnavailable            GR307  the record store cannot be opened or written
        │   ├── StoreReadOnly           GR308  it can be read, not written
        │   └── StoreLocked             GR309  another process holds it for too long
        ├── SourceUnreadable            GR310  a source file cannot be read as text
        ├── ReviewConflict              GR311  a review item is not in the state asked of it
        ├── RecordInvalid               GR312  not a record, or of a version we do not know
        ├── TimedOut                    GR313  a deadline of ours passed
        ├── StreamingUnsupported        GR314  a stream where a whole answer was expected
        ├── RequestRefused              GR320  the proxy refused a request before any work
        │   ├── NotAuthenticated        GR321  no key, or not a valid one
        │   ├── NotAllowed              GR322  the key may not do this
        │   ├── RequestTooLarge         GR323  the body, or something in it, is over a limit
        │   ├── TooManyRequests         GR324  over the key's rate, or all places are taken
        │   ├── Unavailable             GR325  starting, shutting down, or without its store
        │   └── NoSuchRoute             GR326  nothing there, or not with this method
        ├── SamplingFailed              GR330  too few samples could be had
        └── JudgeUnusable               GR331  a judge gave nothing that can be used

Codes are stable. Messages say what happened, what was done and what to do, and hold no user text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers.errors import GroundrailError

if TYPE_CHECKING:
    from guardrails.report import Report
    from policies.types import Decision


class GuardrailsError(GroundrailError):
    """The guarded call failed.

    Attributes:
        report: What was recorded of the call, where it got as far as a record.
    """

    code = "GR300"

    # Class defaults: unpickling rebuilds an error from its message alone, without its report.
    report: Report | None = None


class Blocked(GuardrailsError):
    """The policy did not let the answer through, and says to raise rather than respond.

    Attributes:
        decision: Why.
        report: Everything that was found, the withheld answer included.
        reports: One report a choice; ``report`` is the first that was blocked.
    """

    code = "GR301"

    reports: tuple[Report, ...] = ()

    def __init__(
        self,
        message: str,
        *,
        report: Report | None = None,
        reports: tuple[Report, ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.report = report
        self.reports = reports or (() if report is None else (report,))

    @property
    def decision(self) -> Decision | None:
        """The decision that blocked the answer."""
        return None if self.report is None else self.report.decision


class ConfigInvalid(GuardrailsError):
    """Settings or arguments that make no sense. Names the file and key, and what is allowed."""

    code = "GR302"


class NameCollision(GuardrailsError):
    """Another installed distribution owns one of our import names."""

    code = "GR303"


class ProviderFailed(GuardrailsError):
    """The model call failed. The provider's own exception is ``__cause__``.

    Attributes:
        status: HTTP status the provider answered with, where known.
    """

    code = "GR304"

    status: int | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ResponseUnreadable(GuardrailsError):
    """The response is of a type, or in a shape, we cannot read. Nothing was released."""

    code = "GR305"


class RetrieverFailed(GuardrailsError):
    """A registered retriever raised, or returned something that is not sources."""

    code = "GR306"


class StoreUnavailable(GuardrailsError):
    """The record store cannot be opened or written.

    Attributes:
        spilled: The file what was to be written went to instead, or None when it went nowhere.
    """

    code = "GR307"

    spilled: str | None = None


class StoreReadOnly(StoreUnavailable):
    """The record store can be read but not written."""

    code = "GR308"


class StoreLocked(StoreUnavailable):
    """Another process holds the record store for longer than we wait."""

    code = "GR309"


class SourceUnreadable(GuardrailsError):
    """A source file cannot be read as text."""

    code = "GR310"


class ReviewConflict(GuardrailsError):
    """A review item is not in the state, or not in the hands, that the request needs."""

    code = "GR311"


class RecordInvalid(GuardrailsError):
    """Not a record, or a record of a version this release does not know."""

    code = "GR312"


class TimedOut(GuardrailsError):
    """A deadline of ours passed."""

    code = "GR313"


class StreamingUnsupported(GuardrailsError):
    """A stream came where a whole answer was expected. It was not read; nothing was released."""

    code = "GR314"


class RequestRefused(GuardrailsError):
    """The proxy refused a request before any work; this very class, one that makes no sense.

    Attributes:
        status: The HTTP status it is answered with.
        retry_after: Seconds after which the same request may succeed, or None.
        param: Where in the request the fault is, as far as it can be named.
    """

    code = "GR320"

    status: int = 400

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param
        self.retry_after = retry_after


class NotAuthenticated(RequestRefused):
    """No key was given, or one that is unknown, revoked or expired. Never says which."""

    code = "GR321"
    status = 401


class NotAllowed(RequestRefused):
    """The key is valid and may not do this."""

    code = "GR322"
    status = 403


class RequestTooLarge(RequestRefused):
    """The body, or something in it, is over a limit of the settings."""

    code = "GR323"
    status = 413


class TooManyRequests(RequestRefused):
    """Over the key's rate, or all places to work and to wait are taken."""

    code = "GR324"
    status = 429


class Unavailable(RequestRefused):
    """The proxy cannot work right now: it shuts down, or its store does not answer."""

    code = "GR325"
    status = 503


class NoSuchRoute(RequestRefused):
    """There is nothing at this path, or not with this method.

    Attributes:
        allow: The methods that there are, when it is the method.
    """

    code = "GR326"
    status = 404

    def __init__(self, message: str, *, hint: str = "", allow: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.allow = allow
        if allow:
            self.status = 405


class SamplingFailed(GuardrailsError):
    """Too few samples of the answer could be had to say anything; its claims count as errors."""

    code = "GR330"


class JudgeUnusable(GuardrailsError):
    """A judge gave nothing that can be used; nothing was concluded from it."""

    code = "GR331"
