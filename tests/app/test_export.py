"""`filmjacket export`: media that our own scanner calls complete, exit codes, nothing overwritten."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app import cli, compose
from app.commands import export
from core.errors import StorageFault
from core.media import samples
from core.media.samples import SampleStudy, ct_slice, part10, ultrasound_cine
from core.scan.scanner import Scan, Scanner

ONE = SampleStudy(seed="exported")


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """A folder of three slices and a loop."""
    folder = tmp_path / "disc"
    samples.write_ct_series(ONE, folder, 3, size=32)
    samples.write(ultrasound_cine(ONE, size=32), folder / "loop")
    return folder


def run(*arguments: object) -> int:
    return cli.main(["export", *map(str, arguments)])


def scanned(path: Path) -> Scan:
    scanner = Scanner([path], workers=0)
    for _ in scanner.run():
        pass
    return scanner.result


def report_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("name", ["new", "out.zip", "OUT.ISO"])
def test_a_folder_becomes_a_medium(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = tmp_path / name
    assert run(disc, "--out", out, "--json") == 0
    report = report_of(capsys)
    assert (report["instances"], report["pictures"], report["studies"]) == (4, 15, 1)
    assert report["complete"] and report["verified"] and not report["failed"]
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    if name != "OUT.ISO":
        found = scanned(out)
        assert found.receipt.complete and found.receipt.instances == 4 and not found.receipt.not_listed
    before = out.stat().st_mtime_ns
    assert run(disc, "--out", out) == 1
    assert "already" in capsys.readouterr().err and out.stat().st_mtime_ns == before


def test_out_of_a_zip_file_into_a_folder(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "in.zip"
    with zipfile.ZipFile(packed, "w") as target:
        for path in disc.iterdir():
            target.write(path, path.name)
    assert run(packed, "--out", tmp_path / "new" / "folder", "--no-viewer") == 0
    assert "complete: 4 images" in capsys.readouterr().out
    assert not (tmp_path / "new" / "folder" / "INDEX.HTM").exists()
    assert scanned(tmp_path / "new" / "folder").receipt.complete


def test_damage_of_the_source_is_told_and_the_rest_written(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = disc / "IM000002"
    victim.write_bytes(victim.read_bytes()[:-50])
    assert run(disc, "--out", tmp_path / "out.zip", "--json") == 1
    report = report_of(capsys)
    assert report["instances"] == 3 and not report["complete"]
    assert [one["name"] for one in report["failed"]] == ["IM000002"]
    assert scanned(tmp_path / "out.zip").receipt.complete


def test_a_study_of_the_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    with compose.reading(data, exclusive=True) as archive:
        for namespace in ("default", "other"):
            with archive.incoming(namespace) as incoming:
                incoming.write(part10(ct_slice(ONE, size=32)))
                archive.store(incoming, actor="tests").result(30)
        with archive.incoming("default") as incoming:
            incoming.write(b"%PDF-1.4")
            archive.attach(
                "default",
                ONE.uid,
                incoming,
                name="report.pdf",
                content_type="application/pdf",
                uploaded_by="Rita",
                actor="tests",
            ).result(30)
    out = tmp_path / "out"
    assert run(ONE.uid, "--data", data, "--out", out) == 1
    assert "namespaces" in capsys.readouterr().err and not out.exists()
    assert run(ONE.uid, "--data", data, "--out", out, "--namespace", "default", "--json") == 0
    assert report_of(capsys)["documents"] == 1
    assert (out / "DOCS" / "D000001.PDF").read_bytes() == b"%PDF-1.4"
    assert scanned(out).receipt.complete
    assert run("1.2.3.4", "--data", data, "--out", tmp_path / "none") == 1
    assert "no such study" in capsys.readouterr().err


def test_what_cannot_be_done_leaves_nothing(
    disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path / "nowhere", "--out", tmp_path / "out.zip") == 3
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(empty, "--out", tmp_path / "out.zip") == 1
    assert run(disc) == 2
    assert run(disc, "--out", disc / "loop" / "out.zip") == 3

    def broken(*_: object) -> None:
        raise StorageFault("What was written does not read back as it was written.")

    monkeypatch.setattr(export, "prove", broken)
    for name in ("out.zip", "out.iso", "out", "empty"):
        assert run(disc, "--out", tmp_path / name, "--no-viewer") == 3
        assert not (tmp_path / name).exists() or name == "empty"
    assert not list(empty.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disc", "empty"]
    assert "Traceback" not in capsys.readouterr().err
