"""What reading an answer costs while it grows: ``python -m verifiers.bench.growing``.

An answer is checked sentence by sentence, as a stream is, and once as a whole. The scorer is a
constant, so that what is measured is all but the model: finding boundaries, claims (the parser
included), choosing evidence, reading the scores. Work that does not look back grows with the
length of the answer: twice the sentences, twice the seconds.

CPU seconds of the process, since machines are shared; ``first_ms``, ``twentieth_ms`` and
``last_ms`` are wall milliseconds from giving the text to having the assessments, the latter two
medians of the sentences around. One shape is a single paragraph, the other has headings, lists,
tables and code. Writes JSON to standard output.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING

from verifiers.claims import make_extractor
from verifiers.claims.boundaries import Boundaries
from verifiers.engine import NLIEngine
from verifiers.pipeline import Verifier
from verifiers.testing import NEUTRAL, ScriptedScorer
from verifiers.text import Memo
from verifiers.types import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifiers.claims import ClaimExtractor

_PUSHED = 5  # characters of a delta, about those of a token
_AROUND = 2  # sentences on each side of one that is timed


def prose(count: int) -> str:
    """One paragraph of ``count`` sentences."""
    return " ".join(
        f"Item {n} costs {n} euros and it is sold in city {n} [1]." for n in range(count)
    )


def mixed(count: int) -> str:
    """About ``count`` sentences, items and rows under headings, with code between."""
    parts = [
        f"## Item {n}\n\nItem {n} costs {n} euros [1]. It is sold in city {n}.\n\n"
        "It comes with:\n\n"
        f"- a box of {n} grams\n- a bag from city {n}\n\n| Year | Sold |\n|---|---|\n"
        f"| 2019 | {n} |\n| 2020 | {n + 1} |\n\n```python\nprice = items[{n}].price\n```"
        for n in range(max(1, count // 9))
    ]
    return "\n\n".join(parts)


SHAPES: dict[str, Callable[[int], str]] = {"prose": prose, "mixed": mixed}


def boundaries_of(text: str, sources: Sequence[Source]) -> list[int]:
    """The boundaries of a text that comes in small pieces."""
    boundaries = Boundaries(sources)
    found: list[int] = []
    for at in range(0, len(text), _PUSHED):
        found += boundaries.push(text[at : at + _PUSHED])
    return [*found, *boundaries.finish()]


def measure(
    extractor: ClaimExtractor, shape: str, count: int, sources: Sequence[Source]
) -> dict[str, object]:
    """CPU seconds of one answer, growing and at once, and milliseconds of single sentences."""
    text = SHAPES[shape](count)
    begun = time.process_time()
    places = boundaries_of(text, sources)
    cutting = time.process_time() - begun
    memo = Memo()

    def growing() -> None:
        for place in places:
            extractor.extract(text[:place], sources=sources, memo=memo)

    at_once = _cpu(lambda: extractor.extract(text, sources=sources))
    grown = _cpu(growing)
    engine = NLIEngine(lambda: ScriptedScorer(lambda _: NEUTRAL))
    took: list[float] = []
    with engine, Verifier(extractor=extractor, engine=engine) as verifier:
        whole = _cpu(lambda: verifier.verify(text, sources=sources))
        session = verifier.open(sources=sources)
        session.prepare()

        def checked() -> None:
            for place in places:
                start = time.perf_counter()
                session.assess(text[:place])
                took.append(1_000 * (time.perf_counter() - start))

        stepwise = _cpu(checked)
    return {
        "shape": shape,
        "sentences": count,
        "characters": len(text),
        "calls": len(places),
        "boundaries_cpu": round(cutting, 3),
        "claims_at_once_cpu": round(at_once, 3),
        "claims_growing_cpu": round(grown, 3),
        "check_at_once_cpu": round(whole, 3),
        "check_growing_cpu": round(stepwise, 3),
        "first_ms": round(took[0], 1),
        "twentieth_ms": _around(took, 19),
        "last_ms": _around(took, len(took) - 1),
    }


def _around(took: Sequence[float], place: int) -> float:
    near = took[max(0, place - _AROUND) : place + _AROUND + 1]
    return round(statistics.median(near), 1) if near else 0.0


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m verifiers.bench.growing", description=__doc__)
    parser.add_argument("--sentences", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--language", default="en", help="xx reads by rule, without a parser")
    options = parser.parse_args(arguments)
    extractor = make_extractor(options.language)
    evidence = " ".join(f"Item {n} costs {n} euros and ships in {n % 9} days." for n in range(60))
    sources = (Source("policy", evidence),)
    extractor.extract("Loads the parser.", sources=sources)
    rows = [
        measure(extractor, shape, count, sources) for shape in SHAPES for count in options.sentences
    ]
    json.dump(rows, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
