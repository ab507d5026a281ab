"""The table of ``guardrails/docs/models.md``, made from the presets themselves.

``python -m guardrails.cli.model_table`` prints it; a test compares it with the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers.backends.presets import PRESETS, Head, Special

if TYPE_CHECKING:
    from verifiers.backends.presets import Preset

MARKER = "<!-- made by: python -m guardrails.cli.model_table -->"


def tells(preset: Preset) -> str:
    """What a preset can say: ``3-way``, ``2-way``, or ``words`` (2-way, with the words)."""
    if preset.head is Head.TOKENS:
        return "words"
    return "3-way" if preset.three_way else "2-way"


def table() -> str:
    """All presets with their facts, and each with its form and source, as Markdown."""
    lines = [
        MARKER,
        "",
        "| name | on the hub | tells | languages | reads | licence | download |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{preset.name}` | `{preset.repo}` | {tells(preset)} | {preset.languages}"
        f" | {preset.max_tokens:,} tokens | {preset.licence} | {preset.megabytes:,} MB |"
        for preset in PRESETS.values()
    ]
    for preset in PRESETS.values():
        lines += ["", f"### `{preset.name}`", "", f"{preset.about[0].upper()}{preset.about[1:]}."]
        lines += ["", f"* commit: {f'`{preset.revision}`' if preset.revision else 'not pinned'}"]
        if preset.companion is not None:
            lines.append(
                f"* config and tokenizer: `{preset.companion.repo}`, commit"
                f" `{preset.companion.revision}`"
            )
        lines.append(f"* columns: {', '.join(_meaning(role) for role in preset.roles)}")
        lines.append(f"* form: {_form(preset)}")
        lines.append(f"* follows: {preset.follows}")
        if preset.note:
            lines.append(f"* note: {preset.note}")
    return "\n".join(lines) + "\n"


def _meaning(role: str) -> str:
    return {"entailment": "supported", "rest": "not supported"}.get(role, role)


def _form(preset: Preset) -> str:
    if preset.segments:
        whole = "".join(
            segment.token if isinstance(segment, Special) else segment
            for segment in preset.segments
        )
        return f"one text, `{_shown(whole)}`"
    if preset.premise_form != "{premise}":
        return f"two texts, `{_shown(preset.premise_form)}` and `{{hypothesis}}`"
    return "two texts, `{premise}` and `{hypothesis}`"


def _shown(text: str) -> str:
    return text.replace("\n", "\\n")


if __name__ == "__main__":
    print(table(), end="")
