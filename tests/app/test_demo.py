"""The demo does the main job, says so truthfully, and touches nothing but its own folder."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app import demo_job, demo_sheet
from app.commands import demo
from app.demo_report import Report
from app.demo_screens import PICTURES
from core.errors import BadInput
from core.media import sample_disc
from core.media.sample_disc import SampleDisc
from tests import house

LARGEST_PICTURE = {demo.SHEET: 600_000}
LARGEST_SCREENSHOT = 300_000  # they go into the README


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> SampleDisc:
    return sample_disc.build(tmp_path_factory.mktemp("disc") / "disc")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The whole demo, run once, with a home folder that must stay empty."""
    out = tmp_path_factory.mktemp("demo") / "demo output"
    home = tmp_path_factory.mktemp("home")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "FILMJACKET_"))}
    finished = subprocess.run(
        [sys.executable, "-m", "app", "demo", "--out", str(out)],
        cwd=house.ROOT,
        env=environment | {"HOME": str(home), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not [p for p in home.rglob("*") if p.is_file() and "fontconfig" not in p.parts]
    return out, finished


def test_everything_matches(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, finished = done
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stderr == ""
    receipt = json.loads((out / demo.RECEIPT).read_text("utf-8"))
    assert receipt["matched"] and receipt["seconds"] < 60
    assert all(check["matched"] and check["found"] == check["expected"] for check in receipt["checks"])
    (study,) = receipt["upload"]["studies"]
    assert study["already_there"] > 0 and study["sent"] > 0
    assert study["already_there"] + study["sent"] == study["verified"] == study["expected"]
    assert study["verified_by"] == "digest" and study["attachments"] == 1


def test_it_says_where_everything_lies(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, finished = done
    named = re.findall(r"^[A-Z][a-z ]+: +(.+\.(?:json|png))$", finished.stdout, re.MULTILINE)
    assert all(name.startswith(str(out)) for name in named)
    assert {Path(name).name for name in named} == {demo.RECEIPT, demo.SHEET, *PICTURES}
    assert all(Path(name).is_file() for name in named)


@pytest.mark.parametrize("name", [demo.SHEET, *(f"{demo.SCREENS}/{name}" for name in PICTURES)])
def test_pictures_show_something(done: tuple[Path, subprocess.CompletedProcess[str]], name: str) -> None:
    path = done[0] / name
    assert path.stat().st_size < LARGEST_PICTURE.get(name, LARGEST_SCREENSHOT)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape[0] > 200 and pixels.shape[1] > 400
    assert len(np.unique(pixels)) > 50


def test_no_patient_is_named_in_a_log(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, finished = done
    logs = [path for path in (out / demo.DATA).rglob("*.log*") if path.is_file()]
    assert logs
    said = " ".join(path.read_text("utf-8") for path in logs) + finished.stderr
    patients = [study.patient for study in (sample_disc.ANNA, sample_disc.TAROU)]
    words = [
        word for p in patients for word in (*p.name.split("=")[0].split("^"), p.patient_id, p.birth_date)
    ]
    assert len(words) > 5
    assert not [word for word in words if word in said]


def test_a_disc_that_is_not_as_expected_is_noticed(disc: SampleDisc) -> None:
    said: list[str] = []
    report = Report(said.append)
    demo_job.read_disc(disc, report)
    assert report.matched and not said
    demo_job.read_disc(replace(disc, missing="PT000000/NOT/THERE"), report)
    assert not report.matched
    assert len(said) == 1 and "listed but missing" in said[0]


def test_a_report_without_checks_has_not_matched(tmp_path: Path) -> None:
    report = Report(lambda line: None)
    assert not report.matched
    report.check("one", 1, 1)
    report.write(tmp_path / "receipt.json")
    assert json.loads((tmp_path / "receipt.json").read_text())["matched"] is True
    report.check("two", 1, 2)
    report.write(tmp_path / "receipt.json")
    written = json.loads((tmp_path / "receipt.json").read_text())
    assert written["matched"] is False and [c["matched"] for c in written["checks"]] == [True, False]


def test_a_folder_that_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    (tmp_path / demo.RECEIPT).write_text("{}")
    with pytest.raises(BadInput, match=r"holiday\.jpg"):
        demo.run(out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["holiday.jpg", demo.RECEIPT]


def test_the_contact_sheet_shows_each_picture_and_each_gap() -> None:
    jpeg = io.BytesIO()
    Image.new("L", (64, 64), 255).save(jpeg, "JPEG")
    cells = [
        demo_sheet.Cell(jpeg.getvalue(), "CT 1", "image 1"),
        demo_sheet.Cell(None, "DOC 2", "no picture"),
    ]
    pixels = np.asarray(demo_sheet.draw("Müller, Anna", "CT", cells).convert("L"))
    middle = demo_sheet.HEAD + demo_sheet.BOX // 2
    first = demo_sheet.GAP + demo_sheet.BOX // 2
    assert pixels[middle, first] > 250
    assert pixels[middle, first + demo_sheet.BOX + demo_sheet.GAP] < 50
