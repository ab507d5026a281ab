"""The source a citation names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from verifiers.types import Source

PREFIX = (
    r"(?:sources?|src|documents?|docs?|refs?|references?|citations?|passages?|contexts?|"
    r"articles?|excerpts?|snippets?|chunks?|results?|files?)"
)
URL = re.compile(r"(?:https?://|www\.)[^\s<>\[\]\"“”‘’`|]{3,2000}", re.IGNORECASE)  # noqa: RUF001
NUMBER = re.compile(r"\d{1,3}$")
LABELLED = re.compile(
    rf"(?:see\s+(?:also\s+)?)?{PREFIX}\s*[:#.\s]?\s*(?P<rest>\S.*)$", re.IGNORECASE
)
LOCATOR = re.compile(
    r",?\s*(?:pp?\.|pages?|sections?|sec\.|§|chapters?|ch\.|lines?|paras?\.?|paragraphs?)\s*[\w.–-]+$",  # noqa: RUF001
    re.IGNORECASE,
)
_AUTHOR_YEAR = re.compile(
    r"(?P<who>[A-Z][\w'’-]+)(?:[^\d]{0,60}?),?\s*(?P<year>(?:19|20)\d\d)[a-z]?$"  # noqa: RUF001
)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Finds the source a target names. Build it once per answer; each look-up is then one step."""

    sources: tuple[Source, ...]
    _ids: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _uris: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Iterable[Source]) -> Resolver:
        """A resolver over sources in their order. The first one wins where two share a name."""
        made = cls(tuple(sources))
        for source in made.sources:
            made._ids.setdefault(source.id.strip(), source.id)
        for source in made.sources:
            for name in _names(source):
                made._names.setdefault(name, source.id)
            if source.uri:
                made._uris.setdefault(_normal_uri(source.uri), source.id)
            if URL.match(source.id):
                made._uris.setdefault(_normal_uri(source.id), source.id)
        return made

    @property
    def has_uris(self) -> bool:
        """Whether a link could name a source at all."""
        return bool(self._uris)

    def find(self, target: str) -> str | None:  # noqa: PLR0911 - tried in order
        """The id of the source ``target`` names, or None."""
        target = target.strip().strip("\"'“”‘’`*_ ")  # noqa: RUF001
        if not target:
            return None
        if target in self._ids:
            return self._ids[target]
        if URL.match(target):
            return self._uris.get(_normal_uri(target))
        named = self._names.get(_normal_name(target))
        if named is not None:
            return named
        if NUMBER.match(target):
            return self.at(int(target))
        labelled = LABELLED.match(target)
        if labelled and labelled.group("rest") != target:
            return self.find(labelled.group("rest"))
        located = LOCATOR.sub("", target)
        if located != target:
            return self.find(located)
        return self._by_author(target)

    def called(self, target: str) -> bool:
        """Whether a source has just this id or name."""
        return target.strip() in self._ids or _normal_name(target) in self._names

    def at(self, number: int) -> str | None:
        """The id of the source in place ``number``, from 1."""
        return self.sources[number - 1].id if 1 <= number <= len(self.sources) else None

    def _by_author(self, target: str) -> str | None:
        match = _AUTHOR_YEAR.match(target)
        if not match:
            return None
        for source in self.sources:
            title = source.title or ""
            if match.group("who") in title and match.group("year") in title:
                return source.id
        return None


def _names(source: Source) -> Iterator[str]:
    for name in (source.id, source.title, source.uri):
        if name:
            yield _normal_name(name)
            base = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
            yield _normal_name(base)
            stem, dot, extension = base.rpartition(".")
            if dot and stem and extension.isalnum() and len(extension) <= len("xhtml"):
                yield _normal_name(stem)


def _normal_name(name: str) -> str:
    return " ".join(re.sub(r"[\s_-]+", " ", name.casefold()).split())


def _normal_uri(uri: str) -> str:
    """A link without what does not tell pages apart: scheme, ``www.``, fragment, final slash."""
    bare = re.sub(r"^[a-z][a-z0-9+.-]*://", "", uri.strip(), flags=re.IGNORECASE)
    bare = unquote(bare.split("#", 1)[0]).rstrip("/")
    host, slash, path = bare.partition("/")
    host = host.casefold().removeprefix("www.").removesuffix(":80").removesuffix(":443")
    query = re.sub(r"([?&])utm_[^&]*", r"\1", path).rstrip("?&/")
    return host + slash + query if query else host


class AnySource(Resolver):
    """A resolver for which every target names a source: the most a bracket could be."""

    @property
    def has_uris(self) -> bool:
        """Any link may name a source."""
        return True

    def find(self, target: str) -> str | None:
        """Some id for whatever says anything."""
        return target.strip() or None

    def called(self, target: str) -> bool:
        """Anything may be a name."""
        return bool(target.strip())
