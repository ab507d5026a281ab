"""Citations in an answer, and the sources they name.

Markers are read as models write them: ``[1]``, ``[1, 2]``, ``[1-3]``, ``[^1]`` with its definition,
``【1†source】``, ``(Source: name)``, ``[policy.md]``, links and bare URLs. What a marker names is a
source's id, title, URI or place (from 1). A marker that reads as a citation but names nothing we
have keeps ``source_id=None``: that is itself a finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers.claims.blocks import VERBATIM, segment
from verifiers.claims.finder import find_outside
from verifiers.claims.sources import Resolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.types import Citation, Source


def resolve(target: str, sources: Sequence[Source]) -> str | None:
    """The id of the source that ``target`` names: by id, URI, title, or place from 1.

    Args:
        target: What a marker names, as written.
        sources: The sources in their order.

    Returns:
        The source's id, or None when it names none of them.
    """
    return Resolver.of(sources).find(target)


def find_citations(answer: str, sources: Sequence[Source] = ()) -> tuple[Citation, ...]:
    """The citation markers of an answer, in order.

    A marker that names several sources (``[1, 2]``, ``[1-3]``) gives one citation for each, all
    with the marker's span. Code is not searched: ``a[1]`` and arrays are not citations.

    Args:
        answer: The exact answer.
        sources: The sources in their order, for numbers, ids, titles and links.
    """
    code = [block.span for block in segment(answer) if block.kind in VERBATIM]
    return find_outside(answer, Resolver.of(sources), code)
