"""What is legal in a policy and yet worth a second look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.schema import CLAIM_KEYS
from policies.types import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.schema import Policy, Row

_LOW_SUPPORT = 0.5
_HIGH_CONTRADICTION = 0.9
_HURRIED = 1.0
_COLD = 0.3
_LOW_FLOOR = 0.2
_NOT_CLEAN = (
    ("on_contradicted", "claims the sources contradict"),
    ("on_conflict", "claims on which the sources disagree"),
    ("on_unsupported", "claims no source carries"),
    ("on_no_evidence", "claims there was nothing to check against"),
    ("on_error", "claims that could not be checked"),
)
_ORDER = (("on_unsupported", "on_contradicted"), ("on_contradicted", "on_conflict"))
_ANSWER_KEYS = ("on_no_claims", "on_empty", "on_refused", "on_cut")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something legal and risky, or without effect.

    Attributes:
        rule: Stable name: ``fail-open``, ``never-blocks``, ``low-threshold``, ``order``,
            ``no-effect``, ``budget`` or ``cost``.
        key: Where in the policy.
        message: What it means and what to do about it.
    """

    rule: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message} [{self.rule}]"


def lint(policy: Policy) -> tuple[Finding, ...]:
    """Everything worth a second look, routes included, each finding once."""
    found = list(_lint_one(policy))
    for name in sorted(policy.routes):
        changes = policy.routes[name]
        prefix = f"routes.{name}"
        if not changes.model_fields_set:
            text = "changes nothing; the route is decided like every other"
            found.append(Finding("no-effect", prefix, text))
        already = {(finding.rule, finding.key) for finding in found}
        found += [
            Finding(finding.rule, f"{prefix}.{finding.key}", finding.message)
            for finding in _lint_one(policy.for_route(name))
            if (finding.rule, finding.key) not in already
        ]
    return tuple(found)


def _lint_one(policy: Policy) -> Iterator[Finding]:
    yield from _never_blocks(policy)
    for row in policy.rows.values():
        yield from _lint_row(row)
    if policy.on_empty is Action.PASS:
        yield Finding("fail-open", "on_empty", "an empty answer goes out as if it were one")
    if policy.on_cut is Action.PASS:
        text = (
            'an answer cut at its length limit goes out unmarked; the missing half may hold a "not"'
        )
        yield Finding("fail-open", "on_cut", text)
    yield from _lint_attempts(policy)
    yield from _lint_answer(policy)
    yield from _lint_consistency(policy)
    yield from _lint_judge(policy)


def _never_blocks(policy: Policy) -> Iterator[Finding]:
    actions = [action for row in policy.rows.values() for action in row.actions.values()]
    actions += [getattr(policy, key) for key in _ANSWER_KEYS]
    if policy.answer.max_unsupported is not None or policy.answer.max_unsupported_share is not None:
        actions.append(policy.answer.action)
    if all(action.severity <= Action.ANNOTATE.severity for action in actions):
        text = "no rule does more than annotate: every answer goes out, whatever is found"
        yield Finding("never-blocks", "(whole policy)", text)


def _lint_row(row: Row) -> Iterator[Finding]:
    own = [key for key in CLAIM_KEYS if key in row.written or not row.prefix]
    if row.prefix and not row.written and not row.changes_thresholds:
        text = "has no keys of its own; claims of this kind keep the top level's rules"
        yield Finding("no-effect", row.prefix.rstrip("."), text)
    for key, what in _NOT_CLEAN:
        if key in own and row.actions[key] is Action.PASS:
            text = f"fails open: {what} go out unmarked; write annotate to have them marked"
            yield Finding("fail-open", row.key(key), text)
    for milder, harsher in _ORDER:
        first, second = row.actions[milder], row.actions[harsher]
        if harsher == "on_conflict" and second is Action.REVIEW:
            continue  # a person settles what the sources do not: mild to nobody
        if (milder in own or harsher in own) and first.severity > second.severity:
            text = f"{first.value} is more severe than {row.key(harsher)}: {second.value}"
            yield Finding("order", row.key(milder), text)
    if row.prefix and not row.changes_thresholds:
        return
    at, place = row.thresholds, f"{row.prefix}thresholds"
    if at.support < _LOW_SUPPORT:
        text = f"{at.support:g} calls a claim supported that is more likely not"
        yield Finding("low-threshold", f"{place}.support", text)
    if at.contradiction > _HIGH_CONTRADICTION:
        text = (
            f"above {_HIGH_CONTRADICTION:g} few contradictions are found; they read as unsupported"
        )
        yield Finding("low-threshold", f"{place}.contradiction", text)


def _lint_attempts(policy: Policy) -> Iterator[Finding]:
    regenerates = any(
        action is Action.REGENERATE
        for row in policy.rows.values()
        for action in row.actions.values()
    ) or Action.REGENERATE in {policy.answer.action, *(getattr(policy, k) for k in _ANSWER_KEYS)}
    limits = policy.limits
    if not regenerates:
        return
    if limits.attempts == 1:
        text = (
            "the first answer is the one attempt, so regenerate never happens and "
            f"after_attempts: {policy.after_attempts.value} takes its place; write 2 or more"
        )
        yield Finding("budget", "limits.attempts", text)
    if limits.seconds is not None and limits.seconds < _HURRIED:
        text = f"{limits.seconds:g} seconds are over before most models have answered once"
        yield Finding("budget", "limits.seconds", text)
    if limits.cost_usd is not None:
        text = (
            "with a provider whose prices are not known the limit counts as reached, so there "
            "regenerate never happens"
        )
        yield Finding("cost", "limits.cost_usd", text)
    if policy.after_attempts.severity <= Action.ANNOTATE.severity:
        said = policy.after_attempts.value
        text = f"fails open: what was still wrong after the last attempt goes out ({said})"
        yield Finding("fail-open", "after_attempts", text)
    elif policy.after_attempts.severity < policy.on_unsupported.severity != _REGENERATE:
        text = f"milder than on_unsupported: {policy.on_unsupported.value}"
        yield Finding("order", "after_attempts", text)


_REGENERATE = Action.REGENERATE.severity


def _lint_answer(policy: Policy) -> Iterator[Finding]:
    rules = policy.answer
    if rules.max_unsupported_share == 1:
        text = "no share is more than 1, so this limit is never passed; write null or a smaller one"
        yield Finding("no-effect", "answer.max_unsupported_share", text)
    limited = rules.max_unsupported is not None or rules.max_unsupported_share is not None
    counted = [
        row.actions[key].severity
        for row in policy.rows.values()
        for key in ("on_unsupported", "on_contradicted", "on_conflict", "on_error")
    ]
    if limited and rules.action.severity <= min(counted):
        text = f"adds nothing: every claim it counts asks for {rules.action.value} or more anyway"
        yield Finding("no-effect", "answer.action", text)


def _lint_consistency(policy: Policy) -> Iterator[Finding]:
    rules = policy.consistency
    if rules.when == "never":
        return
    if rules.on_consistent == rules.on_inconsistent == "keep":
        text = "samples are paid for and may change no verdict; write when: never"
        yield Finding("no-effect", "consistency.on_consistent", text)
    if (
        rules.on_consistent == "supported"
        and rules.when in {"no_evidence", "both"}
        and policy.on_supported is Action.PASS
    ):
        text = (
            "a claim without a source passes when the model repeats it, and a model can be wrong "
            "the same way each time; write keep to let samples only find fault"
        )
        yield Finding("fail-open", "consistency.on_consistent", text)
    if rules.temperature is not None and rules.temperature < _COLD:
        text = f"at a temperature of {rules.temperature:g} samples are alike, so all is consistent"
        yield Finding("fail-open", "consistency.temperature", text)
    yield from _lint_second("consistency", rules.seconds, rules.cost_usd, policy)


def _lint_judge(policy: Policy) -> Iterator[Finding]:
    rules = policy.judge
    if rules.when == "never":
        return
    if not (rules.may_raise or rules.may_lower):
        text = "the judge is paid for and may change no verdict; write when: never"
        yield Finding("no-effect", "judge.may_raise", text)
    if rules.may_raise and rules.floor < _LOW_FLOOR:
        text = (
            f"at {rules.floor:g} a judge that a text has talked round can support any claim with "
            "any passage"
        )
        yield Finding("fail-open", "judge.floor", text)
    yield from _lint_second("judge", rules.seconds, rules.cost_usd, policy)


def _lint_second(
    table: str, seconds: float | None, cost_usd: float | None, policy: Policy
) -> Iterator[Finding]:
    whole = policy.limits.seconds
    if seconds is not None and seconds < _HURRIED:
        text = f"{seconds:g} seconds are over before most models have answered once"
        yield Finding("budget", f"{table}.seconds", text)
    elif whole is not None and seconds is not None and seconds > whole:
        text = f"limits.seconds ends it after {whole:g} seconds, the call itself included"
        yield Finding("budget", f"{table}.seconds", text)
    if cost_usd is None:
        text = "no limit on what it may cost; write how many dollars one call may spend on it"
        yield Finding("cost", f"{table}.cost_usd", text)
