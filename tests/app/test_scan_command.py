"""`filmjacket scan` as a user starts it: its JSON, its lines, its exit codes, and how little it loads."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.commands import scan as command
from core.media.samples import SamplePatient, SampleStudy, ct_slice, part10, write_ct_series

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    study = SampleStudy(patient=SamplePatient("Müller^Anna=山田", "P-1"))
    write_ct_series(study, tmp_path / "disc", 3, size=16)
    (tmp_path / "disc" / "readme.txt").write_text("hello")
    return tmp_path / "disc"


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    captured = capsys.readouterr()
    assert captured.err == ""
    parsed: dict[str, Any] = json.loads(captured.out)
    return parsed


def test_the_json_document(folder: Path, capsys: pytest.CaptureFixture[str], study: SampleStudy) -> None:
    assert command.run([folder], True, False) == 0
    found = document(capsys)
    seconds = found.pop("seconds")
    assert isinstance(seconds, float)
    series = found["patients"][0]["studies"][0].pop("series")
    assert found == {
        "patients": [
            {
                "patient_id": "P-1",
                "name": "Müller^Anna=山田",
                "birth_date": "19700101",
                "sex": "F",
                "studies": [
                    {
                        "study_uid": study.uid,
                        "date": "20240211",
                        "description": "CT Abdomen",
                        "accession_number": "A1001",
                        "modalities": ["CT"],
                    }
                ],
            }
        ],
        "skipped": [
            {"path": "readme.txt", "reason": "not-dicom", "detail": "This is a text file, not a DICOM file."}
        ],
        "receipt": {
            "files": 4,
            "instances": 3,
            "bytes": sum(path.stat().st_size for path in folder.glob("IM*")),
            "listed_but_missing": 0,
            "not_listed": 0,
            "duplicates": 0,
            "damaged": 0,
            "complete": True,
        },
    }
    assert series == [
        {
            "series_uid": series[0]["series_uid"],
            "number": 1,
            "modality": "CT",
            "description": "CT series 1",
            "instances": 3,
            "bytes": found["receipt"]["bytes"],
        }
    ]


def test_gaps_are_exit_code_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = folder / "IM000002"
    cut.write_bytes(cut.read_bytes()[:-1])
    assert command.run([folder], True, False) == 1
    found = document(capsys)
    assert found["receipt"]["complete"] is False
    assert [one["reason"] for one in found["skipped"]] == ["truncated", "not-dicom"]


def test_a_path_that_is_not_there_is_exit_code_three(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run([folder / "nothing"], True, False) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "There is nothing at" in captured.err


@pytest.mark.skipif(
    sys.platform != "linux", reason="who reads what others may not is dropped as Linux does it"
)
def test_what_may_not_be_opened_is_the_environments_fault_and_has_a_remedy(folder: Path) -> None:
    (folder / "IM000001").chmod(0)
    (folder / "locked").mkdir(mode=0)
    lines = (
        ("scan", "--json", str(folder)),
        ("scan", "--json", str(folder / "locked")),
        ("scan", "--json", str(folder / "locked" / "deeper")),
        ("upload", str(folder / "locked"), "--to", "v3:http://127.0.0.1:9"),
        ("render", str(folder / "IM000001"), "--out", str(folder / "x.png")),
        ("export", str(folder / "locked"), "--out", str(folder / "out")),
    )
    (code, out, _), *others = _as_nobody_special(*lines)
    assert code == 1
    found = json.loads(out)
    assert {s["path"]: s["reason"] for s in found["skipped"]} == {
        "IM000001": "unreadable",
        "locked": "unreadable",
        "readme.txt": "not-dicom",
    }
    assert {s["detail"] for s in found["skipped"] if s["reason"] == "unreadable"} == {
        "You have no permission to open this."
    }
    assert not found["receipt"]["complete"]
    assert len(others) == len(lines) - 1
    for code, out, err in others:
        assert code == 3, err
        assert out == ""
        assert "permission" in err.lower()
        assert "Traceback" not in err


ONE_AFTER_THE_OTHER = """
import json, sys
from tests.app.archive_process import here
done = [here(*line) for line in json.loads(sys.argv[1])]
print(json.dumps([(each.returncode, each.stdout, each.stderr) for each in done]))
"""


def _as_nobody_special(*lines: Sequence[str]) -> list[tuple[int, str, str]]:
    """Codes, outputs and errors of the program by a user to whom permissions apply, root too; one process."""
    bounding_drop, overrides = 24, (1, 2)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH

    def humble() -> None:
        for capability in overrides:
            ctypes.CDLL(None).prctl(bounding_drop, capability, 0, 0, 0)

    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(lines)],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=60, preexec_fn=humble,
    )  # fmt: skip
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def test_the_report_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "cut").write_bytes(part10(ct_slice(SampleStudy(seed="x"), size=16))[:-1])
    assert command.run([folder], False, False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Müller Anna  P-1  19700101  F"
    assert "CT Abdomen" in lines[1]
    assert "CT series 1: 3 images" in lines[2]
    assert "skipped cut (truncated): This image file is cut off" in lines[3]
    assert lines[4] == "not taken: 1 not-dicom, 1 truncated"
    assert lines[5].startswith("NOT COMPLETE: 5 files read, 3 images")
    assert command.run([folder], False, True) == 1
    assert "skipped readme.txt (not-dicom)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (39_206, "39.2 KB"), (14_725_632, "14.7 MB")]
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert command.size(count) == text


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False, timeout=60
    )


def test_a_plain_scan_loads_no_heavy_library(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.commands import scan;"
        f"code = scan.run([Path({str(folder)!r})], True, False);"
        "print(code, *sys.modules, file=sys.stderr)"
    )
    done = started("-c", code)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert done.stderr.startswith("0 ")
    heavy = {
        "numpy",
        "pydicom",
        "PySide6",
        "sqlalchemy",
        "fastapi",
        "starlette",
        "httpx",
        "imagecodecs",
        "PIL",
    }
    assert not loaded & heavy
    assert "multiprocessing" not in loaded


def test_the_installed_command(folder: Path) -> None:
    done = started("-m", "app", "scan", "--json", str(folder))
    assert done.returncode == 0
    assert json.loads(done.stdout)["receipt"]["instances"] == 3
    assert started("-m", "app", "scan").returncode == 2
