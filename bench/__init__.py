"""Benchmarks: what Latchkey costs beside a bare pass-through. `make bench`, explained in docs/performance.md."""
