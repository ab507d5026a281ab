"""Keys, rates and places, without a socket: what is remembered, for how long, and for whom."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails._proxy_settings import LimitSettings, ProxySettings
from guardrails.errors import (
    NotAllowed,
    NotAuthenticated,
    StoreUnavailable,
    TooManyRequests,
    Unavailable,
)
from guardrails.keys import Key, Permissions, Role, id_of, key_digest, new_key, new_secret, same
from guardrails.proxy.auth import ANONYMOUS, Caller, KeyRing
from guardrails.proxy.limits import Places, Rates, check_sources
from guardrails.rates import Rate, take

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = frozenset({Role.CALL})
WAIT_S = 30.0


class Shelf:
    """A store of keys that counts what it is asked, and can be broken."""

    def __init__(self, *keys: Key) -> None:
        self.keys = {key.id: key for key in keys}
        self.asked = 0
        self.broken = False
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def find(self, key_id: str) -> Key | None:
        self.asked += 1
        self.entered.set()
        assert self.open.wait(WAIT_S)
        if self.broken:
            raise StoreUnavailable("broken")
        return self.keys.get(key_id)


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ring(shelf: Shelf, ticks: Ticks, **settings: Any) -> KeyRing:
    return KeyRing(
        ProxySettings.model_validate(settings), shelf.find, clock=lambda: NOW, ticks=ticks
    )


def ask(keys: KeyRing, secret: str, header: str = "x-api-key") -> Caller:
    return asyncio.run(keys.caller([(header.encode(), secret.encode("latin-1"))]))


def made(**more: Any) -> tuple[str, Key]:
    return new_key("app", CALL, Permissions(), now=NOW, **more)


def test_a_key_is_remembered_for_its_time_and_no_longer() -> None:
    """Within it the store is not asked; after it a revoked key is refused."""
    secret, key = made()
    shelf, ticks = Shelf(key), Ticks()
    keys = ring(shelf, ticks, key_cache=5)
    assert ask(keys, secret).name == "app"
    shelf.keys.clear()
    ticks.now += 4.9
    assert ask(keys, secret).key_id == key.id
    assert shelf.asked == 1
    ticks.now += 0.1
    with pytest.raises(NotAuthenticated):
        ask(keys, secret)


def test_while_the_store_is_down_known_keys_go_on_for_the_grace() -> None:
    """And no longer; a key that is not known is refused with 503, for nobody can tell."""
    secret, key = made()
    shelf, ticks = Shelf(key), Ticks()
    keys = ring(shelf, ticks, key_cache=5, key_grace=60)
    ask(keys, secret)
    shelf.broken = True
    ticks.now += 64.9
    assert ask(keys, secret).key_id == key.id
    ticks.now += 0.1
    with pytest.raises(Unavailable):
        ask(keys, secret)
    with pytest.raises(Unavailable):
        ask(keys, new_secret())


def test_many_at_once_ask_the_store_once() -> None:
    """One caller that goes away takes nothing from the others."""
    secret, key = made()
    shelf, ticks = Shelf(key), Ticks()
    keys = ring(shelf, ticks)
    shelf.open.clear()

    async def all_at_once() -> list[Caller]:
        header = [(b"x-api-key", secret.encode())]
        first = asyncio.create_task(keys.caller(header))
        others = [asyncio.create_task(keys.caller(header)) for _ in range(5)]
        assert await asyncio.to_thread(shelf.entered.wait, WAIT_S)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        shelf.open.set()
        return await asyncio.gather(*others)

    assert {caller.key_id for caller in asyncio.run(all_at_once())} == {key.id}
    assert shelf.asked == 1


@pytest.mark.parametrize("change", ["secret", "id", "revoked", "expired", "unknown"])
def test_keys_that_are_not_valid_are_all_alike(change: str) -> None:
    """Nothing in the refusal says what was wrong with it."""
    secret, key = made()
    gone = NOW - timedelta(days=1)
    changes: dict[str, Callable[[], tuple[str, list[Key]]]] = {
        "secret": lambda: (secret[:-1] + ("a" if secret[-1] != "a" else "b"), [key]),
        "id": lambda: (new_secret(), [key]),
        "revoked": lambda: (secret, [_with(key, revoked_at=gone)]),
        "expired": lambda: (secret, [_with(key, created=gone, expires_at=NOW)]),
        "unknown": lambda: ("sk-somebody-else's", [key]),
    }
    sent, kept = changes[change]()
    with pytest.raises(NotAuthenticated) as refused:
        ask(ring(Shelf(*kept), Ticks()), sent)
    assert refused.value.message == "The key in this request is not valid."


def _with(key: Key, **changes: Any) -> Key:
    from dataclasses import replace

    return replace(key, **changes)


def test_where_keys_are_looked_for() -> None:
    """Our own header first; with pass-through, only there: the others are the provider's."""
    secret, key = made()
    keys = ring(Shelf(key), Ticks())
    assert ask(keys, f"Bearer {secret}", "authorization").name == "app"
    assert ask(keys, f"bearer  {secret}", "authorization").name == "app"
    for wrong in (f"Basic {secret}", secret, "Bearer", ""):
        with pytest.raises(NotAuthenticated):
            ask(keys, wrong, "authorization")
    passing = ring(Shelf(key), Ticks(), provider_keys="pass")
    assert ask(passing, secret, "x-groundrail-key").name == "app"
    for header in ("authorization", "x-api-key"):
        with pytest.raises(NotAuthenticated):
            ask(passing, f"Bearer {secret}", header)


def test_without_keys_a_wrong_key_is_still_refused() -> None:
    """With auth off anybody may call; who shows a key of ours is held to it."""
    secret, key = made()
    keys = ring(Shelf(key), Ticks(), auth="off")
    assert asyncio.run(keys.caller([])) is ANONYMOUS
    assert ask(keys, "sk-whatever-an-sdk-sends") is ANONYMOUS
    assert ask(keys, secret).key_id == key.id
    with pytest.raises(NotAuthenticated):
        ask(keys, new_secret())
    assert Role.ADMIN not in ANONYMOUS.roles


def test_what_a_key_may_ask_for() -> None:
    """Sources, policies and models, each refused where the key does not have it."""
    tied = Permissions(sources=False, policies=frozenset({"strict"}), models=frozenset({"m"}))
    caller = Caller("id", "app", CALL, tied)
    caller.need(names=["strict"], model="m")
    caller.need()
    for wrong in ({"sources": True}, {"names": ["strict", "observe"]}, {"model": "n"}):
        with pytest.raises(NotAllowed):
            caller.need(**wrong)  # type: ignore[arg-type]
    ANONYMOUS.need(sources=True, names=["anything"], model="any")
    with pytest.raises(NotAllowed):
        Caller("id", "app", CALL, Permissions()).need(names=["observe"])


@given(st.text(max_size=80))
def test_only_keys_of_ours_have_an_id(text: str) -> None:
    """Whatever is sent, reading it does not fail; a key that was made has its id and digest."""
    assert id_of(text) is None
    assert not same(text, key_digest("gr_"))
    secret = new_secret()
    assert id_of(secret) in secret
    assert same(secret, key_digest(secret))
    assert secret not in repr(new_key("a", CALL, Permissions(), now=NOW)[1])


@given(
    st.floats(0.5, 6000),
    st.integers(1, 50),
    st.lists(st.integers(0, 120_000_000), max_size=60),
)
def test_a_rate_is_a_token_bucket(per_minute: float, burst: int, gaps: list[int]) -> None:
    """So many tokens, one a request, filled at the rate: exactly these requests are let through."""
    rate = Rate(per_minute, burst)
    tokens, due, now = burst * rate.interval, None, 1_000_000
    for gap in gaps:
        now += gap
        tokens = min(burst * rate.interval, tokens + gap)
        taken = take(due, now, rate)
        assert taken.allowed == (tokens >= rate.interval)
        if taken.allowed:
            tokens -= rate.interval
            due = taken.due
        else:
            assert taken.due == due
            # Exactly after the wait, and not before it.
            wait = round(taken.wait_s * 1e6)
            assert take(due, now + wait, rate).allowed
            assert not take(due, now + wait - 1, rate).allowed


def test_rates_in_memory_are_by_key() -> None:
    """One key's rate is not another's, and a key's own rate counts instead of the settings'."""
    now = 0.0
    limits = LimitSettings(rate_per_minute=60, rate_burst=1)

    async def scenario() -> None:
        nonlocal now
        rates = Rates(limits, clock=lambda: now)
        await rates.take("a", None)
        await rates.take("b", None)
        with pytest.raises(TooManyRequests) as refused:
            await rates.take("a", None)
        assert refused.value.retry_after == pytest.approx(1.0)
        now = 1.0
        await rates.take("a", None)
        await rates.take("fast", 6000)
        now = 1.01
        await rates.take("fast", 6000)

    asyncio.run(scenario())


def test_a_slow_key_gets_no_burst_above_its_rate() -> None:
    """Two a minute are two at once, whatever others may have."""
    limits = LimitSettings(rate_per_minute=600, rate_burst=20)

    async def scenario() -> None:
        rates = Rates(limits, clock=lambda: 0.0)
        for _ in range(2):
            await rates.take("slow", 2)
        with pytest.raises(TooManyRequests):
            await rates.take("slow", 2)
        for _ in range(20):
            await rates.take("others", None)
        with pytest.raises(TooManyRequests):
            await rates.take("others", None)

    asyncio.run(scenario())


def test_a_broken_store_leaves_each_replica_its_own_count() -> None:
    """Rather than letting everybody or nobody through."""
    limits = LimitSettings(rate_per_minute=1, rate_burst=1)

    def broken() -> None:
        raise StoreUnavailable("broken")

    async def scenario() -> None:
        rates = Rates(limits, broken)
        await rates.take("a", None)
        with pytest.raises(TooManyRequests):
            await rates.take("a", None)

    asyncio.run(scenario())


@given(st.integers(1, 4), st.integers(0, 4), st.lists(st.sampled_from("eclt"), max_size=40))
def test_places_are_never_lost_or_doubled(places: int, queue: int, steps: list[str]) -> None:
    """Entering, leaving, cancelling and waiting too long in any order: the number stays right."""

    async def scenario() -> None:
        line = Places(places, queue, WAIT_S)
        inside, waiting = 0, []
        for step in steps:
            if step == "e":
                task = asyncio.create_task(line.enter())
                await asyncio.sleep(0)
                if task.done() and task.exception() is None:
                    inside += 1
                elif task.done():
                    assert isinstance(task.exception(), TooManyRequests)
                    assert (inside, len(waiting)) == (places, queue)
                else:
                    assert inside == places
                    waiting.append(task)
            elif step == "l" and inside:
                line.leave()
                inside -= 1
                if waiting:
                    await waiting.pop(0)
                    inside += 1
            elif step == "c" and waiting:
                waiting[-1].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting.pop()
            elif step == "t" and waiting and inside:
                # Given the place and cancelled at the same moment: the next one gets it.
                line.leave()
                waiting[0].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting.pop(0)
                inside -= 1
                if waiting:
                    await waiting.pop(0)
                    inside += 1
            assert line.waiting == len(waiting)
            assert inside <= places
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for _ in range(inside):
            line.leave()
        for _ in range(places):
            async with asyncio.timeout(WAIT_S):
                await line.enter()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "texts", [["a"] * 4, ["a" * 11], ["a" * 9, "b" * 9]], ids=["many", "long", "together"]
)
def test_sources_are_limited(texts: list[str]) -> None:
    """In number, each, and all together."""
    from guardrails.errors import RequestTooLarge

    limits = LimitSettings(sources=3, source_chars=10, sources_chars=15)
    check_sources(["a" * 10, "b" * 5], limits)
    with pytest.raises(RequestTooLarge):
        check_sources(texts, limits)
