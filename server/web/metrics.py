"""Counters of what was asked and how long it took, as Prometheus text."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Gauges = Mapping[str, tuple[str, float]]
"""Name -> (help, value)."""


@dataclass(slots=True)
class _Row:
    requests: int = 0
    seconds: float = 0.0
    bytes: int = 0


@dataclass(slots=True)
class Metrics:
    """Requests by method, route template and status; safe from any thread."""

    _rows: defaultdict[tuple[str, str, int], _Row] = field(default_factory=lambda: defaultdict(_Row))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _others: list[Callable[[], Gauges]] = field(default_factory=list)

    def count(self, method: str, template: str, status: int, seconds: float, sent: int) -> None:
        """One finished request."""
        with self._lock:
            row = self._rows[method, template, status]
            row.requests += 1
            row.seconds += seconds
            row.bytes += sent

    def show(self, gauges: Callable[[], Gauges]) -> None:
        """Have the figures of another door shown, too."""
        self._others.append(gauges)

    def others(self) -> Gauges:
        """Figures of the other doors."""
        return {name: value for each in self._others for name, value in each().items()}

    def text(self, gauges: Gauges) -> str:
        """Prometheus text; *gauges* are further values, name -> (help, value)."""
        with self._lock:
            rows = [(key, replace(row)) for key, row in sorted(self._rows.items())]
        lines: list[str] = []
        counters: tuple[tuple[str, str, Callable[[_Row], float]], ...] = (
            ("filmjacket_requests_total", "Requests answered.", lambda row: row.requests),
            (
                "filmjacket_request_seconds_total",
                "Seconds it took.",
                lambda row: round(row.seconds, 6),
            ),
            ("filmjacket_response_bytes_total", "Bytes of answers sent.", lambda row: row.bytes),
        )
        for name, text, read in counters:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} counter"]
            lines += [
                f'{name}{{method="{method}",route="{template}",status="{status}"}} {read(row)}'
                for (method, template, status), row in rows
            ]
        for name, (text, value) in gauges.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value:.15g}"]
        return "\n".join(lines) + "\n"
