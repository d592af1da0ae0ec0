"""The demo's report: what was to be expected, what was found, and sentences about it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the demo looked at."""

    name: str
    expected: Any
    found: Any

    @property
    def matched(self) -> bool:
        """Whether it was as expected."""
        return bool(self.expected == self.found)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Report:
    """Collects checks, says what happens, and ends as `receipt.json`; *facts* go there as they are."""

    say: Callable[[str], None] = _print
    checks: list[Check] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def check(self, name: str, found: Any, expected: Any) -> bool:
        """Note one check; a mismatch is said at once."""
        check = Check(name, expected, found)
        self.checks.append(check)
        if not check.matched:
            self.say(f"  NOT AS EXPECTED: {name}: found {found!r}, expected {expected!r}")
        return check.matched

    @property
    def matched(self) -> bool:
        """True if there were checks and each one matched."""
        return bool(self.checks) and all(check.matched for check in self.checks)

    @property
    def seconds(self) -> float:
        """Since the report was begun."""
        return time.monotonic() - self.begun

    def to_json(self) -> dict[str, Any]:
        """The document of `receipt.json`."""
        checks = [
            {"name": c.name, "expected": c.expected, "found": c.found, "matched": c.matched}
            for c in self.checks
        ]
        return {"matched": self.matched, "seconds": round(self.seconds, 1), "checks": checks, **self.facts}

    def write(self, path: Path) -> None:
        """Write `receipt.json`."""
        path.write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n", "utf-8")
