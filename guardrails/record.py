"""Records, version 1: enough of a guarded answer to decide it again.

A record holds digests, spans, scores, the whole policy, what was decided and what it cost. Texts
are not in it: they go beside it into the store, where configured, under their digests. The client,
the decorator, ``check``, the proxy and the audit write the same record.

The JSON Schema is published in ``guardrails/schemas/record-v1.json``. After a change of the models
write it again::

    python -m guardrails.record > guardrails/schemas/record-v1.json
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from guardrails._record_base import (
    CoverageRecord,
    EvidenceRecord,
    FailedRecord,
    FailureRecord,
    TextRef,
    UsageRecord,
)
from guardrails._record_build import Built, build_record
from guardrails._record_models import (
    VERSION,
    AssessmentRecord,
    AttemptRecord,
    CitationRecord,
    CitationScoreRecord,
    ClaimRecord,
    DecisionRecord,
    FactsRecord,
    HitRecord,
    MessageRecord,
    MismatchRecord,
    ModelRecord,
    NoEvidenceRecord,
    PolicyRecord,
    Record,
    RequestRecord,
    ScoredRecord,
    SkippedRecord,
    SourceRecord,
    SpentRecord,
    VerdictRecord,
    VerificationRecord,
    WindowRecord,
)
from guardrails._record_replay import assessments_of, model_of, redecide, redecide_attempt, replay
from guardrails._record_second import (
    ConsistencyRecord,
    JudgementRecord,
    JudgingRecord,
    SamplingRecord,
)
from guardrails.digests import Digester, canonical_json, sortable_id
from guardrails.errors import RecordInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "VERSION",
    "AssessmentRecord",
    "AttemptRecord",
    "Built",
    "CitationRecord",
    "CitationScoreRecord",
    "ClaimRecord",
    "ConsistencyRecord",
    "CoverageRecord",
    "DecisionRecord",
    "Digester",
    "EvidenceRecord",
    "FactsRecord",
    "FailedRecord",
    "FailureRecord",
    "HitRecord",
    "JudgementRecord",
    "JudgingRecord",
    "MessageRecord",
    "MismatchRecord",
    "ModelRecord",
    "NoEvidenceRecord",
    "PolicyRecord",
    "Record",
    "RequestRecord",
    "SamplingRecord",
    "ScoredRecord",
    "SkippedRecord",
    "SourceRecord",
    "SpentRecord",
    "TextRef",
    "UsageRecord",
    "VerdictRecord",
    "VerificationRecord",
    "WindowRecord",
    "assessments_of",
    "build_record",
    "canonical_json",
    "json_schema",
    "load_record",
    "model_of",
    "redecide",
    "redecide_attempt",
    "replay",
    "sortable_id",
]

SCHEMA_ID = "urn:groundrail:record:v1"


def load_record(data: str | bytes | Mapping[str, Any]) -> Record:
    """Read a record from JSON text or from the value of JSON text.

    Raises:
        RecordInvalid: If it is not a record, or of a version this release does not know. The
            message names the places that are wrong and quotes no values.
    """
    try:
        value = json.loads(data) if isinstance(data, str | bytes) else dict(data)
    except (ValueError, RecursionError):
        raise RecordInvalid(
            "not a record: it is not JSON; nothing was read",
            hint="A record is one JSON object, on one line in an export.",
        ) from None
    if not isinstance(value, dict) or "version" not in value:
        raise RecordInvalid(
            "not a record: a JSON object with a `version` was expected; nothing was read",
            hint="See the schema in guardrails/schemas/record-v1.json.",
        )
    version = value["version"]
    if isinstance(version, bool) or version != VERSION:
        shown = version if type(version) is int else type(version).__name__
        raise RecordInvalid(
            f"a record of version {shown}; this release reads version {VERSION}; nothing was read",
            hint="Upgrade groundrail to read records of a newer version.",
        )
    try:
        # Strict JSON mode: "1" is no number and 1 no string, while enums and times are read.
        return Record.model_validate_json(canonical_json(value), strict=True)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        shown = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'record'}: {fault['type']}"
            for fault in faults[:5]
        )
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""  # noqa: PLR2004
        raise RecordInvalid(
            f"not a valid record of version {VERSION}: {shown}{more}; nothing was read",
            hint="It was changed or cut after it was written; take it from the store again.",
        ) from None  # pydantic's own message quotes the values
    except (ValueError, RecursionError):
        raise RecordInvalid(
            "not a record: it holds numbers JSON does not have; nothing was read",
            hint="Infinity and NaN are never written by groundrail.",
        ) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a record."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **Record.model_json_schema(),
    }


if __name__ == "__main__":
    import sys

    sys.stdout.write(json.dumps(json_schema(), indent=2, sort_keys=True) + "\n")
