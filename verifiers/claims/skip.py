"""Which sentences say nothing that could be checked, and openers that only look so.

Conservative: a sentence is skipped when it is wholly about the conversation. An opener before a
statement ("Sure! ...", "I think ...", "According to the documents, ...") is taken off, and the
statement is checked.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from verifiers.types import SkipReason

_END = r"[\s.!…,:;]*$"
_GREETING = re.compile(
    r"(?:(?:hi|hello|hey|greetings|welcome|dear)(?:\s+(?:there|again|everyone|all|friend|team|user|sir|madam|\w+))?"
    r"|good\s+(?:morning|afternoon|evening|day|night)(?:\s+\w+)?|(?:many\s+)?thanks?(?:\s+you)?(?:\s+(?:so|very)\s+much)?"
    r"(?:\s+for\s+(?:your|the|asking|reaching|contacting|sharing)\b[^.]*)?|you['’]?(?:re| are)\s+(?:very\s+)?welcome"  # noqa: RUF001
    r"|(?:best|kind|warm)?\s*regards|sincerely|cheers|bye|goodbye|take\s+care|good\s+luck|have\s+a\s+(?:great|nice|good)\s+\w+"
    r"|(?:sure|certainly|absolutely|of\s+course|great|okay|ok|alright|got\s+it|understood|no\s+problem|happy\s+to\s+help"
    r"|my\s+pleasure|sorry|apologies|(?:i\s+)?apologi[sz]e)(?:\s+thing)?)" + _END,
    re.IGNORECASE,
)
_PRAISE = re.compile(
    r"(?:that['’]?s|what)\s+(?:is\s+)?(?:a|an)?\s*(?:great|good|excellent|interesting|wonderful|fantastic)\s+"  # noqa: RUF001
    r"(?:question|point|idea|topic)\b"
    + _END
    + r"|(?:great|good|excellent|interesting)\s+question\b"
    + _END,
    re.IGNORECASE,
)
_META = re.compile(
    r"(?:i\s+(?:really\s+|do\s+)?hope\s+(?:that\s+)?(?:this|that|it|you|these)\b.*(?:help|useful|clear|answer|clarif|well|informative|find)"
    r"|hope\s+(?:this|that|it)\s+help|(?:as|i\s+am|i['’]m)\s+(?:just\s+)?an?\s+(?:ai|artificial|language\s+model|virtual|large\s+language)\b(?!.*\b(?:but|however)\b)"  # noqa: RUF001
    r"|i(?:['’]m|\s+am)\s+(?:happy|glad|here|always\s+here)\s+to\b|i(?:['’]d|\s+would)\s+be\s+(?:happy|glad)\s+to\b"  # noqa: RUF001
    r"|(?:here|below|following)(?:['’]s|\s+is|\s+are)\s+(?:a|an|the|some|my|your)\b[^.]{0,100}"  # noqa: RUF001
    r"(?:summary|answer|overview|list|breakdown|response|explanation|table|details|steps|information|points|examples|version|code|draft)\b[^.]{0,80}[:.]?$"
    r"|(?:i\s+will|i['’]ll|let\s+me|let['’]s|allow\s+me\s+to|i(?:['’]m|\s+am)\s+going\s+to)\s+(?:now\s+|try\s+to\s+|first\s+)?"  # noqa: RUF001
    r"(?:explain|summari[sz]e|walk|break|take|help|show|give|provide|answer|look|start|go|see|think|check|describe|list|outline|clarify|begin|dive)\b"
    r"|(?:this|the\s+above|my)\s+(?:answer|response|summary|information|list)\s+(?:is|was|has\s+been)\s+(?:based|generated|intended|provided|not\s+intended|for)\b"
    r"|i\s+(?:used|searched|read|looked|checked|reviewed|consulted|analy[sz]ed)\b[^.]{0,60}\b(?:documents?|sources?|context|files?|text|passages?)\b"
    r"|if\s+you(?:['’]d|\s+would)\s+like,?\s+i\s+can\b|(?:in\s+)?(?:short|summary|conclusion)\s*$"  # noqa: RUF001
    r"|(?:i\s+)?(?:apologi[sz]e|am\s+sorry|['’]m\s+sorry)\s+for\s+(?:the|any|my)\b)",  # noqa: RUF001
    re.IGNORECASE,
)
_MATERIAL = (
    r"(?:context|documents?|sources?|text|passages?|articles?|information|materials?|files?|excerpts?|"
    r"data|knowledge\s+base|conversation|dialogue|snippets?|search\s+results?|records?|reviews?|content)"
)
_HEDGE = re.compile(
    r"(?:(?:i['’]?m\s+(?:sorry|afraid)|i\s+am\s+(?:sorry|afraid)|sorry|unfortunately|apologies|i\s+apologi[sz]e)[,;]?\s*(?:but\s+)?)?"  # noqa: RUF001
    r"(?:(?:i|we)\s+(?:could\s*n[o'’]t|could\s+not|can\s*not|can['’]t|cannot|was\s+(?:not\s+able|unable)|wasn['’]t\s+able|am\s+(?:not\s+able|unable)|"  # noqa: RUF001
    r"['’]?m\s+(?:not\s+able|unable)|was\s+unable|did\s*n[o'’]t|did\s+not|do\s+not|don['’]t|have\s+no|have\s+not|haven['’]t)\s*(?:to\s+)?(?:really\s+)?"  # noqa: RUF001
    r"(?:find|locate|see|answer|determine|provide|verify|confirm|know|have|access|say|tell|give|identify|help|comment|information|knowledge|assist|offer|share|recall|remember)\b"
    r"|(?:i|we)\s*(?:['’]m|\s+am|['’]re|\s+are)\s+not\s+(?:sure|certain|aware|able)\b"  # noqa: RUF001
    rf"|there\s+(?:is|was|are|were)\s+(?:no|not\s+enough|insufficient)\s+(?:\w+\s+){{0,3}}{_MATERIAL}\b"
    rf"|there\s+(?:is|was|are|were)\s+no\s+(?:\w+\s+){{0,2}}(?:mention|indication|answer|details?|reference|evidence)\b"
    rf"|no\s+(?:\w+\s+){{0,3}}{_MATERIAL}\s+(?:is|was|are|were)\s+(?:available|provided|given|found|mentioned)"
    rf"|(?:based\s+on|according\s+to|from)\s+the\s+(?:\w+\s+){{0,3}}{_MATERIAL},?\s+(?:i|it\s+is\s+(?:not|unclear|impossible)|there\s+is\s+no|we\s+can\s*not)\b"
    rf"|(?:the|this|these|your|my|none\s+of\s+the|neither|no)\s+(?:\w+\s+){{0,3}}{_MATERIAL}(?:\s+(?:you|i|that|which)\s+(?:\w+\s+){{0,2}}(?:provided|given|shared|have|was|were))?\s+"
    r"(?:(?:do|does|did)\s*(?:not|n['’]t)|do(?:es)?n['’]t|didn['’]t|says?\s+nothing|lacks?|(?:is|are|was|were)\s+(?:silent|unclear|not\s+(?:clear|mentioned|specified|provided|stated|given|available)))\b"  # noqa: RUF001
    r"(?:.*\b(?:mention|contain|provide|specify|state|say|include|answer|address|give|indicate|discuss|cover|have|clear|enough|reveal|explain|list|describe|define|detail|offer)\w*)?"
    r"|it\s+is\s+(?:not\s+(?:clear|specified|stated|mentioned|possible\s+to)|unclear|impossible\s+to\s+(?:say|tell|determine))\b"
    r"|(?:it|this|that)\s+(?:is\s+not|isn['’]t|was\s+not)\s+(?:mentioned|specified|stated|provided|covered)\b"  # noqa: RUF001
    r"|not\s+(?:enough|sufficient)\s+(?:information|context|data)|insufficient\s+(?:information|context|data)"
    r"|(?:unknown|not\s+(?:mentioned|specified|stated|available|applicable|provided|sure|given)|n/a|no\s+(?:answer|information|data|idea)|unanswerable|i\s+don['’]t\s+know|cannot\s+answer|can['’]t\s+answer)\s*[.!]*$"  # noqa: RUF001
    r")",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"(?:(?:please\s+)?(?:feel\s+free\s+to|do\s+not\s+hesitate\s+to|don['’]t\s+hesitate\s+to|let\s+me\s+know|let\s+us\s+know)\b"  # noqa: RUF001
    r"|if\s+you\s+(?:have|need|want|would\s+like|['’]d\s+like|require)\b[^.]{0,120}(?:let\s+me|let\s+us|feel\s+free|ask|just\s+ask|reach\s+out|don['’]t\s+hesitate|i\s+can|i['’]m|i['’]ll)\b"  # noqa: RUF001
    r"|(?:please\s+)?(?:note\s+that|remember|keep\s+in\s+mind)\s*[.:]?$"
    r"|(?:please\s+)?(?:ask|tell\s+me|share|provide|specify|clarify|rephrase)\s+(?:me\s+|us\s+)?(?:more|your|the|what|which|if|any|a)\b[^.]{0,80}(?:question|detail|context|information|document|help|mean|want|need)"
    r"|(?:please\s+)?(?:see|refer\s+to|check|consult)\s+(?:the\s+)?(?:above|below|following|sources?)\s*[.:]?$)",
    re.IGNORECASE,
)
_SAYS = r"(?:states?|says?|mentions?|indicates?|notes?|shows?|reports?|explains?|confirms?|suggests?|specif(?:y|ies)|tells?\s+us|reveals?)"
_FRAMES = re.compile(
    r"(?:(?:sure|certainly|absolutely|of\s+course|great\s+question|good\s+question|okay|ok|well|alright|right|indeed|hello|hi|hey(?:\s+there)?)\s*[,!.:;–—-]+\s+"  # noqa: RUF001
    r"|(?:so|well|now|also|additionally|furthermore|moreover|in\s+addition|finally|lastly|firstly|secondly|thirdly|first|second|third|next|overall|in\s+short|in\s+summary|in\s+conclusion|to\s+summari[sz]e|"
    r"to\s+sum\s+up|to\s+answer\s+your\s+question|in\s+other\s+words|that\s+said|that\s+being\s+said|however|therefore|thus|hence|consequently|as\s+a\s+result|nevertheless|nonetheless|in\s+fact|basically|essentially|simply\s+put|importantly|notably|interestingly|for\s+(?:example|instance)|on\s+the\s+other\s+hand|meanwhile|fortunately|unfortunately|yes|yeah|yep|no|nope|no\s+worries)\s*[,:]\s+"
    r"|(?:yes|yeah|yep)\s+(?:and\s+|but\s+)?(?=(?:it|he|she|they|i|we|you|the|this|that|there|its|his|her|their|many|most|some)\b)"
    r"|(?:and|but|so|yet)\s+(?=\w)"
    r"|(?:please\s+)?(?:note|remember|keep\s+in\s+mind|be\s+aware|bear\s+in\s+mind)\s+that\s+"
    r"|(?:it\s+is|it['’]s)\s+(?:important|worth|useful|interesting|good)\s+(?:to\s+note|noting|to\s+remember|mentioning|to\s+mention|to\s+know|to\s+keep\s+in\s+mind)\s+that\s+"  # noqa: RUF001
    r"|(?:i\s+(?:think|believe|guess|suppose|would\s+say|feel|can\s+(?:see|confirm|tell\s+you)|can\s+say|assume|know|see|found|understand|recall)|i['’]d\s+say|i(?:['’]m|\s+am)\s+(?:sure|pretty\s+sure|fairly\s+sure|confident|certain|happy\s+to\s+(?:say|confirm)|glad\s+to\s+say)|in\s+my\s+(?:opinion|view)|from\s+what\s+i\s+(?:can\s+see|know|understand)|as\s+far\s+as\s+i\s+(?:know|can\s+tell)|to\s+(?:the\s+best\s+of\s+)?my\s+knowledge|as\s+an\s+ai[^,]{0,60}),?\s+(?:that\s+|but\s+)?(?!(?:not|so|about|of)\b)"  # noqa: RUF001
    rf"|(?:according\s+to|based\s+on|as\s+(?:stated|mentioned|described|noted|per|shown|indicated)\s*(?:in|by|on)?|per|from|in)\s+(?:all\s+(?:of\s+)?)?(?:the|this|these|your|our|my)?\s*(?:\w+\s+){{0,3}}{_MATERIAL}(?:\s+(?:you\s+(?:\w+\s+)?(?:provided|gave|shared)|provided|given|above|below|available|\d+|[A-C]))?,\s+(?:(?:it\s+(?:is\s+(?:clear|stated|mentioned)|appears|seems)|i\s+can\s+see|we\s+(?:know|see|learn))\s+that\s+)?"
    rf"|(?:the|this|your)\s+(?:\w+\s+){{0,2}}{_MATERIAL}(?:\s+(?:provided|above|\d+))?\s+(?:also\s+|clearly\s+|explicitly\s+)?{_SAYS}\s+that\s+"
    rf"|(?:source|document|doc|passage)\s+\d+\s+(?:also\s+)?{_SAYS}\s+that\s+"
    r"|(?:final\s+)?(?:short\s+)?(?:answer|response|conclusion|summary|tl;?dr|note|a)\s*:\s+|the\s+answer\s+is\s*:\s+)",
    re.IGNORECASE,
)
_LETTER = re.compile(r"\w")
_QUESTION = re.compile(r"[?？؟;][\s\"'”’)\]»*_]*$")  # noqa: RUF001


class Opener(NamedTuple):
    """How much of a sentence is an opener that is not part of the statement."""

    length: int


def opener(text: str) -> int:
    """The length of the frame a sentence opens with; 0 when it has none or is nothing else."""
    at = 0
    for _ in range(4):
        match = _FRAMES.match(text, at)
        if match is None or len(text) - match.end() < 2:  # noqa: PLR2004
            break
        at = match.end()
    return at if _LETTER.search(text, at) else 0


def is_question(text: str) -> bool:
    """Whether a sentence ends as a question."""
    match = _QUESTION.search(text[-12:])
    return match is not None and ";" not in match.group()


def reason(text: str) -> SkipReason | None:
    """Why a sentence is not checkworthy, or None when it is.

    Args:
        text: The sentence, markup and citation markers taken out.
    """
    bare = text.strip()
    if not _LETTER.search(bare):
        return SkipReason.NO_CONTENT
    if is_question(bare):
        return SkipReason.QUESTION
    if _GREETING.match(bare) or _PRAISE.match(bare):
        return SkipReason.GREETING
    core = bare[opener(bare) :]
    for candidate in (bare, core):
        if _INSTRUCTION.match(candidate):
            return SkipReason.INSTRUCTION
        if _HEDGE.match(candidate) and not _turns(candidate):
            return SkipReason.HEDGE
        if _META.match(candidate) and not _turns(candidate):
            return SkipReason.META
    return None


def _turns(text: str) -> bool:
    """Whether a hedge goes on to state something: "I am not sure, but the fee is $30"."""
    match = re.search(
        r"[,;:–—-]\s*(?:but|however|though|although|yet|except)\b(.*)$|\.\s+\w", text, re.IGNORECASE
    )  # noqa: RUF001
    return match is not None and len(text) - match.start() > 12  # noqa: PLR2004
