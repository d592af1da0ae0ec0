"""Every real file beside the project is scanned; each that is left out has its reason written down here."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import pytest

from core.dicom.header import TruncatedObject, read_header
from tests.core.scanning import reasons, scanned

# Folder: number of instances, and what is left out for which reason.
EXPECTED: dict[str, tuple[int, dict[str, list[str]]]] = {
    "bits": (17, {}),
    "broken": (
        13,
        {
            "conflict": ["ExplVR_LitEndNoMeta.dcm"],  # same UID as its big endian twin
            "dicomdir": [
                f"dicomdir-variants/DICOMDIR-{name}"
                for name in ("bigEnd", "empty.dcm", "implicit", "nooffset", "nopatient", "reordered")
            ],
            "no-uid": [
                "UN_sequence.dcm",
                "meta_missing_tsyntax.dcm",
                "nested_priv_SQ.dcm",
                "no-study-series-uid.dcm",
                "no_meta_group_length.dcm",
                "priv_SQ.dcm",
            ],
            "not-dicom": [
                "html-error-page.dcm",
                "no_meta.dcm",
                "png-renamed.dcm",
                "random-bytes.dcm",
                "text-file.dcm",
                "zero-length.dcm",
            ],
            "truncated": [
                "MR_truncated.dcm",
                "emri_small_jpeg_2k_lossless_too_short.dcm",
                "preamble-only.dcm",
                "rtplan_truncated.dcm",
                "truncated-in-header.dcm",
                "truncated-in-meta.dcm",
                "truncated-jpeg.dcm",
            ],
            "unreadable": ["preamble-then-random.dcm"],
        },
    ),
    "cd-dicomdir-charsets": (11, {"dicomdir": ["DICOMDIR"]}),
    "cd-dicomdir-pdi": (
        62,
        {
            "dicomdir": ["DICOMDIR"],
            "not-dicom": [
                "AUTORUN.INF",
                "IHE_PDI/REPORT.HTM",
                "IHE_PDI/STYLE.CSS",
                "IHE_PDI/T0001.JPG",
                "INDEX.HTM",
                "README.TXT",
                "VIEWER/LICENSE.TXT",
                "VIEWER/STARTVWR.EXE",
                "VIEWER/VIEWER.CFG",
                "VIEWER/VIEWER.DLL",
            ],
        },
    ),
    "cd-dicomdir-small": (31, {"dicomdir": ["DICOMDIR"]}),
    "cd-no-dicomdir": (
        28,
        {
            "not-dicom": [
                "ARCHIVE/more-slices.zip!/slices/info.txt",
                "DATA/.DS_Store",
                "DATA/STUDY01/ADC/DIRINFO",
                "DATA/STUDY01/VERSION",
                "REPORT/befund.pdf",
                "REPORT/photo.jpg",
                "Thumbs.db",
                "desktop.ini",
                "index.xml",
                "readme.txt",
                "viewer/viewer.exe",
            ]
        },
    ),
    "charsets": (
        3,
        {
            "conflict": ["chrJapMultiExplicitIR6.dcm"],
            "no-uid": ["chrSQEncoding.dcm", "chrSQEncoding1.dcm", "empty_charset_LEI.dcm"],
        },
    ),
    "color": (
        22,
        {
            "conflict": [
                "odd-size-rgb-big-endian.dcm",
                "palette-16bit.dcm",
                "planar-config-1.dcm",
                "ybr422-uncompressed.dcm",
            ]
        },
    ),
    "compressed": (
        17,
        {
            "conflict": [  # one image in every transfer syntax, most under one UID
                "ct-1.2.840.10008.1.2.1-LittleEndianExplicit.dcm",
                "ct-1.2.840.10008.1.2.1.99-DeflatedExplicitVRLittleEndian.dcm",
                "ct-1.2.840.10008.1.2.2-BigEndianExplicit.dcm",
                "ct-1.2.840.10008.1.2.4.57-JPEGProcess14.dcm",
                "ct-1.2.840.10008.1.2.4.70-JPEGProcess14SV1.dcm",
                "ct-1.2.840.10008.1.2.4.80-JPEGLSLossless.dcm",
                "ct-1.2.840.10008.1.2.4.90-JPEG2000LosslessOnly.dcm",
                "ct-1.2.840.10008.1.2.5-RLELossless.dcm",
            ],
            "no-uid": [
                "htj2k-lossless-rgb.dcm",
                "jpegls-lossless-15bit-signed.dcm",
                "jpegls-lossless-7bit.dcm",
                "jpegls-near-16.dcm",
                "jpegls-near-rgb-ilv0-no-preamble.dcm",
                "jpegls-rgb-ilv1-no-preamble.dcm",
            ],
        },
    ),
    "ct-series": (28, {}),
    "mr-series": (20, {}),
    "multiframe": (10, {}),
    "nonimage": (23, {"no-uid": ["color-palette-hotiron.dcm"], "conflict": ["sr-empty-number-tags.dcm"]}),
    "pdf": (0, {"not-dicom": ["report-1page.pdf", "Überweisung – Müller 2024.pdf"]}),
    "video": (2, {"not-dicom": ["plain-clip.mp4"]}),
}


@pytest.mark.parametrize("folder", EXPECTED)
def test_each_file_is_taken_or_left_out_for_its_reason(testdata: Path, folder: str) -> None:
    instances, left_out = EXPECTED[folder]
    result = scanned(testdata / folder)
    found = {unicodedata.normalize("NFC", path): reason for path, reason in reasons(result).items()}
    assert found == {path: reason for reason, paths in left_out.items() for path in paths}
    assert result.receipt.instances == instances
    assert result.receipt.files == instances + len(found)
    gaps = set(left_out) - {"not-dicom", "dicomdir", "duplicate"}
    assert result.receipt.complete is not bool(gaps)


def test_the_table_names_every_folder(testdata: Path) -> None:
    assert set(EXPECTED) == {path.name for path in testdata.iterdir() if path.is_dir()}


def test_headers_say_what_the_manifest_says(testdata: Path) -> None:
    with (testdata / "MANIFEST.tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    checked = 0
    for row in rows:
        uid = row["sop_instance_uid"]
        if not uid:
            continue
        try:
            header = read_header(testdata / row["path"])
        except TruncatedObject as cut:
            assert cut.header is not None
            header = cut.header
        assert header.sop_instance_uid == uid, row["path"]
        if " " in row["transfer_syntax"]:
            assert header.transfer_syntax_uid == row["transfer_syntax"].split()[-1], row["path"]
        checked += 1
    assert checked > 250
