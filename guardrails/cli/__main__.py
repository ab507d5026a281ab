"""``python -m guardrails.cli`` is the ``groundrail`` command."""

from __future__ import annotations

from guardrails.cli.app import main

if __name__ == "__main__":
    main()
