"""What is kept between LiteLLM's two requests: bounded in bytes and in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guardrails.integrations._remembered import InMemory


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_kept_until_its_time_is_over() -> None:
    clock = Clock()
    kept = InMemory(keep_s=10, ticks=clock)
    assert kept.put("a", b"1")
    clock.now = 9.9
    assert kept.get("a") == b"1"
    clock.now = 10
    assert kept.get("a") is None
    assert kept.size_bytes == 0


def test_what_is_too_big_is_not_kept_and_takes_nothing_else_away() -> None:
    kept = InMemory(limit_bytes=1000)
    assert kept.put("a", b"1")
    assert not kept.put("b", b"x" * 1001)
    assert kept.get("a") == b"1"
    assert kept.get("b") is None


def test_what_is_too_big_takes_its_own_old_body_away() -> None:
    """The old one is another conversation's."""
    kept = InMemory(limit_bytes=1000)
    kept.put("a", b"1")
    assert not kept.put("a", b"x" * 1001)
    assert kept.get("a") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 600), st.integers(0, 5))))
def test_never_more_than_the_limit(steps: list[tuple[str, int, int]]) -> None:
    """And the newest that fits is always there."""
    clock = Clock()
    kept = InMemory(keep_s=10, limit_bytes=1000, ticks=clock)
    for key, size, wait in steps:
        body = key.encode() * size
        assert kept.put(key, body)
        assert kept.size_bytes <= 1000
        assert kept.get(key) == body
        clock.now += wait
