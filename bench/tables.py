"""Figures as Markdown tables, aligned enough to read in a terminal."""

from collections.abc import Sequence

from bench.report import Figure, Growth, Memory, Page, Stream


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """The first `words` columns are text, the others numbers."""
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * width if column < words else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join([line(headings), line(rule), *(line(row) for row in rows)])


def throughput(figures: Sequence[Figure]) -> str:
    headings = (
        "candidate", "workers", "callers", "calls/s", "share of bare", "p50 ms", "above bare", "p99 ms",
        "worker CPU ms/call", "share by CPU", "other CPU ms/call",
    )  # fmt: skip
    rows = [
        (
            each.candidate, str(each.workers), str(each.callers), f"{each.per_second:,.0f}", optional(each.share),
            f"{each.p50_ms:.2f}", optional(each.added_p50_ms), f"{each.p99_ms:.2f}", f"{each.worker_cpu_ms:.3f}",
            optional(each.cpu_share), f"{each.other_cpu_ms:.3f}",
        )
        for each in sorted(figures, key=lambda figure: (figure.workers, figure.callers))
    ]  # fmt: skip
    return table(headings, rows)


def streams(found: Sequence[Stream]) -> str:
    headings = (
        "candidate", "open streams", "chunks", "first byte p50 ms", "p99 ms", "chunk delay p50 ms", "p99 ms",
        "added p50 ms", "worker CPU µs/chunk",
    )  # fmt: skip
    rows = [
        (
            each.candidate, str(each.open), f"{each.chunks:,}", f"{each.first_byte_p50_ms:.2f}",
            f"{each.first_byte_p99_ms:.2f}", f"{each.chunk_p50_ms:.2f}", f"{each.chunk_p99_ms:.2f}",
            optional(each.added_p50_ms), f"{each.worker_cpu_us_per_chunk:.0f}",
        )
        for each in found
    ]  # fmt: skip
    return table(headings, rows)


def memory(found: Sequence[Memory]) -> str:
    rows = [
        (each.candidate, str(each.workers), each.when, f"{each.rss_mb:.0f}", f"{each.pss_mb:.0f}")
        for each in sorted(found, key=lambda each: (each.workers, each.candidate))
    ]
    return table(("candidate", "workers", "when", "RSS MB", "PSS MB"), rows)


def growth(found: Sequence[Growth]) -> str:
    headings = (
        "candidate", "keys", "ledger rows", "worker CPU ms/call", "share by CPU", "p50 ms", "other CPU ms/call",
        "first call of a key ms",
    )  # fmt: skip
    rows = [
        (
            each.candidate, f"{each.keys:,}", f"{each.ledger_rows:,}", f"{each.figure.worker_cpu_ms:.3f}",
            optional(each.figure.cpu_share), f"{each.figure.p50_ms:.2f}", f"{each.figure.other_cpu_ms:.3f}",
            f"{each.first_call_ms:.2f}",
        )
        for each in sorted(found, key=lambda each: each.candidate)
    ]  # fmt: skip
    return table(headings, rows)


def pages(found: Sequence[Page]) -> str:
    rows = [
        (each.path, each.candidate, f"{each.keys:,}", f"{each.ledger_rows:,}", f"{each.ms:.0f}", str(each.queries))
        for each in sorted(found, key=lambda each: (each.path, each.candidate))
    ]
    return table(("page", "candidate", "keys", "ledger rows", "ms", "queries"), rows, words=2)


def optional(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
