"""Benchmarks of the proxy: ``python -m guardrails.bench.proxy`` and ``guardrails.bench.soak``."""
