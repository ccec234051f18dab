"""Benchmarks: ``python -m bench.NAME [--json]``. Every ratio is taken from pairs in one run, since machines differ and drift."""
