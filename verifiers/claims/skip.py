"""Which sentences say nothing that could be checked, and openers that only look so.

Conservative: a sentence is skipped when it is wholly about the conversation. An opener before a
statement ("Sure! ...", "I think ...", "According to the documents, ...") is taken off, and the
statement is checked, so that nothing hides behind a polite phrase.
"""

from __future__ import annotations

import re

from verifiers.types import SkipReason

_A = r"['’]"  # noqa: RUF001
_END = r"[\s.!…,:;]*$"
_ASKED_FOR = (  # what an answer is made of
    r"(?:summary|answer|overview|list|breakdown|response|explanation|table|details|steps|"
    r"information|points|examples|version|code|draft)"
)
_TEXTS = (  # what the answer was to be taken from
    r"(?:context|documents?|documentation|sources?|texts?|passages?|articles?|information|"
    r"materials?|excerpts?|knowledge\s+base|conversation|dialogue|snippets?|search\s+results?)"
)
_GIVEN = r"(?:provided|given|available|supplied|retrieved|above)"
_MENTION = (
    r"(?:mention|contain|provide|specify|state|say|include|answer|address|give|indicate|discuss|"
    r"cover|have|reveal|explain|list|describe|define|detail|offer|appear|seem|explicitly|directly)"
)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("(?:" + "|".join(patterns) + ")", re.IGNORECASE)


_GREETING = _any(
    r"(?:hi|hello|hey|greetings|welcome|dear)(?:\s+(?:there|again|everyone|all|\w+))?" + _END,
    r"good\s+(?:morning|afternoon|evening|day|night)(?:\s+\w+)?" + _END,
    r"(?:many\s+)?thanks?(?:\s+you)?(?:\s+(?:so|very)\s+much)?"
    r"(?:\s+for\s+(?:your|the|asking|reaching|contacting|sharing)\b[^.]{0,80})?" + _END,
    rf"you(?:{_A}re|\s+are)\s+(?:very\s+)?welcome" + _END,
    r"(?:best|kind|warm)?\s*regards" + _END,
    r"have\s+a\s+(?:great|nice|good)\s+\w+" + _END,
    r"(?:sincerely|cheers|bye|goodbye|take\s+care|good\s+luck|my\s+pleasure|no\s+problem)" + _END,
    r"(?:sure|certainly|absolutely|of\s+course|great|okay|ok|alright|got\s+it|understood|sorry|"
    r"happy\s+to\s+help|apologies|(?:i\s+)?apologi[sz]e)(?:\s+thing)?" + _END,
    rf"i(?:{_A}m|\s+am)\s+(?:so\s+|very\s+)?(?:sorry|afraid)" + _END,
    rf"(?:(?:that{_A}?s|what)\s+(?:is\s+)?(?:a|an)?\s*)?"
    r"(?:great|good|excellent|interesting|wonderful|fantastic)\s+(?:question|point|idea|topic)"
    + _END,
)
_META = _any(
    r"(?:i\s+)?(?:really\s+|do\s+)?hope\s+(?:that\s+)?(?:this|that|it|you|these)\b.*"
    r"(?:help|useful|clear|answer|clarif|well|informative|find)",
    rf"(?:i\s+am|i{_A}m)\s+(?:just\s+|only\s+)?an?\s+"
    r"(?:ai|artificial|language\s+model|virtual|large\s+language)\b",
    r"as\s+an\s+ai\b[^,]*$",
    rf"i(?:{_A}m|\s+am)\s+(?:always\s+)?(?:happy|glad|here)\s+to\b",
    rf"i(?:{_A}d|\s+would)\s+be\s+(?:happy|glad)\s+to\b",
    rf"(?:here|below|following)(?:{_A}s|\s+is|\s+are)\s+(?:a|an|the|some|my|your|what)\b[^.]{{0,100}}"
    rf"\b{_ASKED_FOR}\b[^.]{{0,80}}[:.]?$",
    rf"(?:i\s+will|i{_A}ll|let\s+me|let{_A}s|allow\s+me\s+to|i(?:{_A}m|\s+am)\s+going\s+to)\s+"
    r"(?:now\s+|try\s+to\s+|first\s+)?(?:explain|summari[sz]e|walk|break|take|help|show|give|"
    r"provide|answer|look|start|go|see|think|check|describe|list|outline|clarify|begin|dive)\b",
    r"(?:this|the\s+above|my)\s+(?:answer|response|summary|information|list)\s+"
    r"(?:is|was|has\s+been)\s+(?:based|generated|intended|provided|not\s+intended|for)\b",
    r"i\s+(?:used|searched|read|looked|checked|reviewed|consulted|analy[sz]ed)\b[^.]{0,60}"
    r"\b(?:documents?|sources?|context|files?|text|passages?)\b",
    rf"if\s+you(?:{_A}d|\s+would)\s+like,?\s+i\s+can\b",
    r"(?:in\s+)?(?:short|summary|conclusion)\s*$",
    rf"(?:i\s+)?(?:apologi[sz]e|am\s+sorry|{_A}m\s+sorry)\s+for\s+(?:the|any|my)\b",
)
_SORRY = (
    rf"(?:(?:i{_A}?m\s+(?:sorry|afraid)|i\s+am\s+(?:sorry|afraid)|sorry|unfortunately|apologies|"
    r"i\s+apologi[sz]e)[,;]?\s*(?:but\s+)?)?"
)
_CANNOT = (
    rf"(?:could\s*n(?:o|{_A})t|could\s+not|can\s*not|can{_A}t|cannot|was\s+(?:not\s+able|unable)|"
    rf"wasn{_A}t\s+able|am\s+(?:not\s+able|unable)|{_A}m\s+(?:not\s+able|unable)|was\s+unable|"
    rf"did\s*n(?:o|{_A})t|did\s+not|do\s+not|don{_A}t|have\s+no|have\s+not|haven{_A}t)"
)
_HEDGE = _any(
    rf"{_SORRY}i\s*{_CANNOT}\s*(?:to\s+)?(?:really\s+|currently\s+)?(?:find|locate|see|answer|"
    r"determine|provide|verify|confirm|know|have|access|say|tell|give|identify|help|comment|"
    r"information|knowledge|assist|offer|share|recall|remember)\b",
    # "We" may be the company that answers: "We do not offer refunds" is a statement.
    rf"{_SORRY}we\s+(?:can\s*not|can{_A}t|could\s+not|couldn{_A}t)\s+(?:find|locate|answer|determine|"
    r"verify|confirm|tell|say)\b",
    rf"{_SORRY}we\s+(?:do\s+not|don{_A}t)\s+(?:know|have\s+(?:enough|any)\s+information)\b",
    rf"{_SORRY}(?:i|we)\s*(?:{_A}m|\s+am|{_A}re|\s+are)\s+(?:honestly\s+|really\s+)?not\s+"
    r"(?:sure|certain|aware|able)\b",
    rf"{_SORRY}there\s+(?:is|was|are|were)\s+(?:no|not\s+enough|insufficient)\s+(?:\w+\s+){{0,3}}"
    r"(?:information|context|mention|details?)\b",
    rf"{_SORRY}there\s+(?:is|was|are|were)\s+no\s+(?:\w+\s+){{0,3}}\w+\b[^.]{{0,80}}"
    rf"\b(?:in|from)\s+(?:the|this|these|your)\s+(?:\w+\s+){{0,2}}{_TEXTS}[\s.]*$",
    rf"{_SORRY}no\s+(?:\w+\s+){{0,3}}(?:information|details?|context|mention)\b[^.]{{0,60}}\s"
    r"(?:is|was|are|were)\s+(?:available|provided|given|found|made)\b",
    rf"{_SORRY}no\s+(?:\w+\s+){{0,2}}(?:information|details?)\s+(?:is|are)\s+(?:available|provided)",
    rf"{_SORRY}(?:based\s+on|according\s+to|from)\s+the\s+(?:\w+\s+){{0,3}}{_TEXTS}(?:\s+{_GIVEN})?,?\s+"
    rf"(?:(?:i|we)\s*{_CANNOT}|it\s+is\s+(?:not\s+(?:clear|possible)|unclear|impossible))\b",
    rf"{_SORRY}(?:the|this|these|your|none\s+of\s+the|neither|no)\s+(?:\w+\s+){{0,3}}{_TEXTS}"
    rf"(?:\s+(?:(?:that\s+)?(?:you|i|we|was|were)\s+(?:\w+\s+){{0,2}})?{_GIVEN})?\s+"
    rf"(?:(?:do|does|did)\s*(?:not|n{_A}t)|don{_A}t|doesn{_A}t|didn{_A}t)\s+(?:\w+ly\s+)?{_MENTION}\b",
    rf"{_SORRY}(?:the|this|these|your)\s+(?:\w+\s+){{0,2}}{_TEXTS}(?:\s+{_GIVEN})?\s+"
    r"(?:says?\s+nothing|lacks?\s+(?:information|details?)|(?:is|are|was|were)\s+(?:silent|unclear|"
    r"not\s+(?:clear|sufficient|enough))|contains?\s+no\s+(?:\w+\s+)?(?:information|mention|details?))\b",
    rf"{_SORRY}it\s+is\s+(?:not\s+(?:clear|specified|stated|mentioned)|unclear|"
    r"impossible\s+to\s+(?:say|tell|determine))\b",
    rf"{_SORRY}(?:it|this|that)\s+(?:is\s+not|isn{_A}t|was\s+not)\s+(?:mentioned|specified|stated)\b",
    r"(?:not\s+(?:enough|sufficient)|insufficient)\s+(?:information|context|data)\b",
    r"(?:unknown|not\s+(?:mentioned|specified|stated|available|applicable|provided|sure|given)|n/a|"
    rf"no\s+(?:answer|information|data|idea)|unanswerable|(?:i\s+)?(?:can{_A}t|cannot)\s+answer)\s*[.!]*$",
)
_INSTRUCTION = _any(
    rf"(?:please\s+)?(?:feel\s+free\s+to|do\s+not\s+hesitate\s+to|don{_A}t\s+hesitate\s+to|"
    r"let\s+(?:me|us)\s+know)\b",
    rf"if\s+you\s*(?:have|need|want|would\s+like|{_A}d\s+like|require)\b[^.]{{0,120}}"
    r"(?:let\s+(?:me|us)\b|feel\s+free|(?:just|please)\s+ask|don{_A}t\s+hesitate|i\s+can|i{_A}m|i{_A}ll)\b".replace(
        "{_A}", _A
    ),
    r"(?:please\s+)?(?:note\s+that|remember|keep\s+in\s+mind)\s*[.:]?$",
    r"(?:please\s+)?(?:ask|tell)\s+(?:me|us)\b",
    r"(?:please\s+)?(?:share|provide|specify|clarify|rephrase)\s+(?:me\s+|us\s+)?(?:with\s+)?"
    r"(?:more|additional|further|your\s+question|what\s+you\s+(?:mean|want|need))\b",
    r"(?:please\s+|for\s+(?:more|further|additional)\s+(?:\w+\s+)?(?:information|details?),?\s+(?:please\s+)?)"
    rf"(?:see|refer\s+to|check|consult|visit)\s+(?:the\s+)?(?:\w+\s+)?(?:above|below|{_TEXTS})"
    rf"(?:\s+{_GIVEN})?" + _END,
)
_SAYS = (
    r"(?:states?|says?|mentions?|indicates?|notes?|shows?|reports?|explains?|confirms?|suggests?|"
    r"specif(?:y|ies)|tells?\s+us|reveals?)"
)
_STEP = (
    r"(?:so|well|now|also|additionally|furthermore|moreover|in\s+addition|finally|lastly|firstly|"
    r"secondly|thirdly|first|second|third|next|overall|in\s+short|in\s+summary|in\s+conclusion|"
    r"to\s+summari[sz]e|to\s+sum\s+up|to\s+answer\s+your\s+question|in\s+other\s+words|that\s+said|"
    r"that\s+being\s+said|however|therefore|thus|hence|consequently|as\s+a\s+result|nevertheless|"
    r"nonetheless|in\s+fact|basically|essentially|simply\s+put|importantly|notably|interestingly|"
    r"for\s+(?:example|instance)|on\s+the\s+other\s+hand|meanwhile|fortunately|unfortunately|"
    r"yes|yeah|yep|no|nope|no\s+worries|actually)"
)
_BELIEF = (
    r"(?:i\s+(?:think|believe|guess|suppose|would\s+say|feel|assume|know|see|found|understand|recall|"
    r"can\s+(?:see|confirm|tell\s+you|say))"
    rf"|i{_A}d\s+say|i(?:{_A}m|\s+am)\s+(?:(?:pretty\s+|fairly\s+)?sure|confident|certain|"
    r"(?:happy|glad)\s+to\s+(?:say|confirm))|in\s+my\s+(?:opinion|view)"
    r"|from\s+what\s+i\s+(?:can\s+see|know|understand)|as\s+far\s+as\s+i\s+(?:know|can\s+tell)"
    r"|to\s+(?:the\s+best\s+of\s+)?my\s+knowledge|as\s+an\s+ai[^,]{0,60})"
)
_OPENER = _any(
    r"(?:sure|certainly|absolutely|of\s+course|(?:great|good)\s+question|okay|ok|well|alright|right|"
    r"indeed|hello|hi|hey(?:\s+there)?)\s*[,!.:;–—-]+\s+",  # noqa: RUF001
    rf"{_STEP}\s*[,:]\s+",
    r"(?:yes|yeah|yep)\s+(?:and\s+|but\s+)?"
    r"(?=(?:it|he|she|they|i|we|you|the|this|that|there|its|his|her|their|many|most|some)\b)",
    r"(?:and|but|so|yet)\s+(?=\w)",
    r"\(?\d{1,2}[.)]\s+(?=\w)",
    r"(?:please\s+)?(?:note|remember|keep\s+in\s+mind|be\s+aware|bear\s+in\s+mind)\s+that\s+",
    rf"(?:it\s+is|it{_A}s)\s+(?:important|worth|useful|interesting|good)\s+(?:to\s+note|noting|"
    r"to\s+remember|mentioning|to\s+mention|to\s+know|to\s+keep\s+in\s+mind)\s+that\s+",
    rf"{_BELIEF},?\s+(?:that\s+|but\s+)?(?!(?:not|so|about|of|in)\b)",
    r"(?:according\s+to|based\s+on|as\s+(?:stated|mentioned|described|noted|per|shown|indicated)\s*"
    r"(?:in|by|on)?|per|from|in)\s+(?:all\s+(?:of\s+)?)?(?:the|this|these|your|our|my)?\s*"
    rf"(?:\w+\s+){{0,3}}{_TEXTS}(?:\s+(?:you\s+(?:\w+\s+)?(?:provided|gave|shared)|{_GIVEN}|below|"
    r"\d+|[A-C]))?,\s+(?:(?:it\s+(?:is\s+(?:clear|stated|mentioned)|appears|seems)|i\s+can\s+see|"
    r"we\s+(?:know|see|learn))\s+that\s+)?",
    rf"(?:the|this|your)\s+(?:\w+\s+){{0,2}}{_TEXTS}(?:\s+(?:{_GIVEN}|\d+))?\s+"
    rf"(?:also\s+|clearly\s+|explicitly\s+)?{_SAYS}\s+that\s+",
    rf"(?:source|document|doc|passage)\s+\d+\s+(?:also\s+)?{_SAYS}\s+that\s+",
    r"(?:final\s+)?(?:short\s+)?(?:answer|response|conclusion|summary|tl;?dr|note|a)\s*:\s+",
    r"the\s+answer\s+is\s*:\s+",
)
QUESTION_MARKS = " ?？؟\"'”’)]»*_"  # noqa: RUF001
_LETTER = re.compile(r"\w")
_QUESTION = re.compile(r"[?？؟][\s\"'”’)\]»*_]*$")  # noqa: RUF001
_TURN = re.compile(
    r"[,;:–—-]\s*(?:but|however|though|although|yet|except|so|therefore|which\s+means|and)\b"  # noqa: RUF001
    r"|\.\s+\w",
    re.IGNORECASE,
)
_SEMICOLON = re.compile(r";\s+(?=\w)")
_ONWARD = re.compile(
    r"(?:;\s+|\s[–—-]\s+|—\s*|,\s*(?:which|who|whose|since|because|given\s+that)\s+)(?=\w)",  # noqa: RUF001
    re.IGNORECASE,
)
_NOT = rf"(?:n{_A}t|\s+not)"
_CLOSE = r"\W{0,12}$"
_KNOWN = (
    rf"(?:and\s+|but\s+|so\s+)?(?:(?:did|do|does|didn{_A}t|don{_A}t)\s+you\s+(?:know|reali[sz]e|notice|"
    rf"remember)|(?:were|are)(?:n{_A}t)?\s+you\s+aware|have(?:n{_A}t)?\s+you\s+heard|"
    rf"(?:is|was){_NOT}\s+it\s+(?:\w+\s+){{0,3}}\w+)(?:\s+that\s+|\s*[:,]\s+)(?P<said>.+)$"
)
_KNOWN_BARE = r"did\s+you\s+know\s+(?P<said>(?!wh|how\b|if\b|about\b|of\b|that\b).+)$"
_TAGGED = (
    rf"(?P<said>(?!(?:wh|(?:how|do|did|is|are|was|were|can|could|will|would|should|has|have)\b)).+?),\s*"
    rf"(?:right|correct|yes|no|eh|huh|ok(?:ay)?|agreed|(?:is|are|was|were|do|does|did|has|have|had|can|"
    rf"could|will|would|should|wo|ca){_NOT}?\s+(?:it|he|she|they|there|that|this|we|you|i){_NOT}?){_CLOSE}"
)
_PREMISE = (
    r"(?:given\s+that|considering\s+that|seeing\s+that|now\s+that|since(?!\s+when)|because(?!\s+of))\s+"
    rf"(?P<said>[^?]+),\s+[^,?]+\?{_CLOSE}"
)
_STATED = tuple(
    re.compile(pattern, re.IGNORECASE) for pattern in (_KNOWN, _KNOWN_BARE, _TAGGED, _PREMISE)
)
_LEAST_SAID = 3  # words; "..., right?" after less says nothing by itself
_TURN_LENGTH = 12  # characters; "..., but still." says nothing more
_OPENERS = 4  # "Sure! Well, I think that ..."


def opener(text: str) -> int:
    """The length of the frame a sentence opens with; 0 when it has none or is nothing else."""
    at = 0
    for _ in range(_OPENERS):
        match = _OPENER.match(text, at)
        if match is None or not _LETTER.search(text, match.end()):
            break
        at = match.end()
    return at


def is_question(text: str) -> bool:
    """Whether a sentence ends as a question."""
    return _QUESTION.search(text[-12:]) is not None


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
    if _GREETING.match(bare):
        return SkipReason.GREETING
    for candidate in (bare, bare[opener(bare) :]):
        for pattern, found in (
            (_INSTRUCTION, SkipReason.INSTRUCTION),
            (_HEDGE, SkipReason.HEDGE),
            (_META, SkipReason.META),
        ):
            match = pattern.match(candidate)
            if match is None or _turns(candidate, match.end()):
                continue
            if not _goes_on(candidate, match.end(), found):
                return found
    return None


def _turns(text: str, start: int) -> bool:
    """Whether a hedge goes on to state something: "I am not sure, but the fee is $30"."""
    match = _TURN.search(text, start)
    return match is not None and len(text) - match.end() > _TURN_LENGTH


def _goes_on(text: str, start: int, found: SkipReason) -> bool:
    """Whether talk goes on to state something: "Let me know if I can help; the fee is $30".

    An abstention may give its reason ("..., which the documents do not say"): there only a
    semicolon begins a statement.
    """
    pattern = _SEMICOLON if found is SkipReason.HEDGE else _ONWARD
    for match in pattern.finditer(text, start):
        rest = text[match.end() :]
        if len(rest) > _TURN_LENGTH and reason(rest) is None:
            return True
    return False


def stated(question: str) -> str | None:
    """What a question states rather than asks, or None.

    "Did you know that ...?", "..., right?" and "Since ..., shall we ...?" assert what they
    mention. Questions that are statements but for their mark are the parser's to find.
    """
    for pattern in _STATED:
        match = pattern.match(question.strip())
        if match is not None and len(match.group("said").split()) >= _LEAST_SAID:
            return match.group("said").rstrip(QUESTION_MARKS)
    return None
