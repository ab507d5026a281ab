"""Iterators whose end is told to what they read from, also when they were never begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

T = TypeVar("T")


class Closing(Generic[T]):
    """What a generator yields. Closing it closes the connection behind it, begun or not.

    A generator that nobody has begun runs none of its own code when it is closed, so what stands in
    its ``finally`` does not happen. A caller who goes away between the provider's first byte and
    ours leaves exactly that behind.
    """

    def __init__(
        self, items: AsyncGenerator[T, None], close: Callable[[], Awaitable[None]]
    ) -> None:
        """Make one.

        Args:
            items: The generator.
            close: Closes what it reads from; may be called after the generator did so itself.
        """
        self._items = items
        self._close = close

    def __aiter__(self) -> Self:
        """The iterator itself."""
        return self

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Close both. May be called twice."""
        try:
            await self._items.aclose()
        finally:
            await self._close()
