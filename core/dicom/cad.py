"""Findings of a CAD structured report: what was found, where in which image, how sure (PS3.16 TID 4000)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import SourceFault

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CAD_REPORTS = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.50",  # Mammography CAD SR
        "1.2.840.10008.5.1.4.1.1.88.65",  # Chest CAD SR
        "1.2.840.10008.5.1.4.1.1.88.69",  # Colon CAD SR
    }
)
FINDINGS = frozenset({"111059", "111015"})
"""Concept names of DCM whose items are findings: Single Image Finding, Composite Feature."""
DEEPEST = 32

Finding = dict[str, Any]


def cad_findings(path: Path) -> list[Finding]:
    """The findings of the object at *path*, [] if it is no CAD report. Raises SourceFault."""
    from pydicom import dcmread

    try:
        ds = dcmread(path, stop_before_pixels=True, force=True)
        if str(ds.get("SOPClassUID", "")) not in CAD_REPORTS:
            return []
        return list(_findings(ds, ds, 0))
    except OSError as error:
        raise SourceFault("A stored object cannot be read.", "Run filmjacket check.") from error
    except Exception as error:  # whatever damage provokes in a reader that is not ours
        raise SourceFault("A stored report makes no sense.", "Run filmjacket check.", lasting=True) from error


def _findings(node: Dataset, report: Dataset, depth: int) -> Iterator[Finding]:
    for item in _children(node):
        if _code(item, "ConceptNameCodeSequence")["code"] in FINDINGS and item.get("ValueType") == "CODE":
            yield _finding(item, report)
        if depth < DEEPEST:
            yield from _findings(item, report, depth + 1)


def _finding(item: Dataset, report: Dataset) -> Finding:
    """One finding with its own properties; what it is made of is listed for itself."""
    finding: Finding = {"finding": _code(item, "ConceptCodeSequence"), "properties": [], "graphics": []}
    for child in _children(item):
        kind, name = child.get("ValueType", ""), _code(child, "ConceptNameCodeSequence")
        if kind == "NUM":
            finding["properties"].append({"name": name, **_measured(child)})
        elif kind == "CODE" and name["code"] not in FINDINGS:
            finding["properties"].append({"name": name, "value": _code(child, "ConceptCodeSequence")})
        elif kind == "TEXT":
            finding["properties"].append({"name": name, "value": str(child.get("TextValue", ""))})
        elif kind == "SCOORD":
            finding["graphics"].append(_graphic(child, name, report))
    return finding


def _measured(item: Dataset) -> dict[str, Any]:
    for value in item.get("MeasuredValueSequence", None) or ():
        units = _code(value, "MeasurementUnitsCodeSequence")
        return {"value": float(value.NumericValue), "unit": units["code"]}
    return {"value": None, "unit": ""}


def _graphic(item: Dataset, name: dict[str, str], report: Dataset) -> dict[str, Any]:
    numbers = [float(number) for number in item.get("GraphicData", None) or ()]
    return {
        "name": name,
        "type": str(item.get("GraphicType", "")),
        "points": [list(point) for point in zip(numbers[::2], numbers[1::2], strict=False)],
        "images": [image for child in _children(item) for image in _images(child, report)],
    }


def _images(item: Dataset, report: Dataset) -> Iterator[dict[str, Any]]:
    """The images an item is, or points to by its place in the report (by-reference relationship)."""
    place = item.get("ReferencedContentItemIdentifier", None)
    target: Dataset | None = item
    if place:
        steps = [int(step) for step in (place if not isinstance(place, int) else [place])]
        target = _at(report, steps)
    for reference in (target.get("ReferencedSOPSequence", None) or ()) if target is not None else ():
        frames = reference.get("ReferencedFrameNumber", None)
        listed = [frames] if isinstance(frames, int | str) else list(frames or ())
        yield {
            "image_uid": str(reference.get("ReferencedSOPInstanceUID", "")),
            "frames": [int(n) - 1 for n in listed],  # V3 counts them from 0
        }


def _at(report: Dataset, steps: list[int]) -> Dataset | None:
    """The item at a place like 1.2.3, where 1 is the report itself."""
    node = report
    for step in steps[1:]:
        children = _children(node)
        if not 0 < step <= len(children):
            return None
        node = children[step - 1]
    return node


def _children(node: Dataset) -> list[Dataset]:
    return list(node.get("ContentSequence", None) or ())


def _code(item: Dataset, keyword: str) -> dict[str, str]:
    for code in item.get(keyword, None) or ():
        return {
            "code": str(code.get("CodeValue", "")),
            "scheme": str(code.get("CodingSchemeDesignator", "")),
            "meaning": str(code.get("CodeMeaning", "")),
        }
    return {"code": "", "scheme": "", "meaning": ""}
