"""Benchmarks, each a command: ``python -m verifiers.bench.NAME``."""
