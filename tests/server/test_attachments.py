"""Attachments: form or body, types and names as sent, versions, latest, ranges, nothing a browser runs."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest

from core.media.samples import pdf_report
from tests.server.conftest import NAMESPACE, Served, Stored, error_of

PDF = pdf_report(["An attachment"])
KEYS = {"namespace", "study_uid", "attachment_guid", "attachment_version", "source_label"}


def by_version(stored: Stored, answer: dict[str, Any]) -> str:
    return f"{stored.path}/attachment/{answer['attachment_guid']}/version/{answer['attachment_version']}"


def test_a_form_as_the_document_sends_it(served: Served, stored: Stored) -> None:
    with served.client() as client:
        posted = client.post(
            f"{stored.path}/attachment",
            files={"data": ("file.pdf", PDF, "application/pdf")},
            data={"uploaded_by": "Uploader Name"},
        )
        answer = posted.json()
        assert posted.status_code == 200 and set(answer) == KEYS
        assert all(isinstance(value, str) for value in answer.values())
        assert answer["source_label"] == "Uploader Name" and answer["study_uid"] == stored.study.uid
        for path in (by_version(stored, answer), f"{stored.path}/attachment/latest"):
            for suffix in ("", "/any-name.pdf", "/"):
                got = client.get(path + suffix)
                assert got.content == PDF and got.headers["content-type"] == "application/pdf"
                assert got.headers["x-content-type-options"] == "nosniff"
                assert 'filename="file.pdf"' in got.headers["content-disposition"]
            head = client.head(path)
            assert head.status_code == 200 and head.headers["content-length"] == str(len(PDF))
        assert client.get(f"{stored.path}/attachment/latest.pdf").content == PDF
        listed = client.get(f"{stored.path}/schema").json()["attachments"]
    assert (answer["attachment_guid"], answer["attachment_version"]) in {
        (a["id"], a["version"]) for a in listed
    }


@pytest.mark.parametrize(
    ("content_type", "kept"),
    [
        ("application/pdf", "application/pdf"),
        ("application/octet-stream", "application/octet-stream"),
        ("text/plain; charset=iso-8859-1", "text/plain; charset=iso-8859-1"),
        ("no media type", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_body_with_its_type(served: Served, stored: Stored, content_type: str, kept: str) -> None:
    with served.client() as client:
        answer = client.post(
            f"{stored.path}/attachment?uploaded_by=Somebody",
            content=PDF,
            headers={"content-type": content_type},
        ).json()
        got = client.get(by_version(stored, answer))
    assert got.headers["content-type"] == kept and got.content == PDF
    assert answer["source_label"] == "Somebody"


def test_a_type_before_a_boundary_is_the_files(served: Served, stored: Stored) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n\r\n' + PDF + b"\r\n--b--\r\n"
    )
    with served.client() as client:
        answer = client.post(
            f"{stored.path}/attachment",
            content=body,
            headers={"content-type": "application/pdf; boundary=b"},
        ).json()
        got = client.get(by_version(stored, answer))
    assert got.headers["content-type"] == "application/pdf" and got.content == PDF
    assert answer["source_label"] == "admin"


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("page.html", "text/html", "attachment"),
        ("drawing.svg", "image/svg+xml", "attachment"),
        ("page.xml", "application/xml", "attachment"),
        ("script.js", "text/javascript", "attachment"),
        ("picture.png", "image/png", "inline"),
        ("letter.pdf", "application/pdf", "inline"),
    ],
)
def test_what_a_browser_might_run_is_only_for_saving(
    served: Served, stored: Stored, name: str, content_type: str, disposition: str
) -> None:
    with served.client() as client:
        answer = client.post(
            f"{stored.path}/attachment", files={"data": (name, b"<b>bytes</b>", content_type)}
        ).json()
        got = client.get(by_version(stored, answer))
    assert got.headers["content-type"] == content_type
    assert got.headers["content-disposition"].startswith(disposition)


@pytest.mark.parametrize(
    ("sent", "plain", "full"),
    [
        ("Müller Röntgen.pdf", "M_ller R_ntgen.pdf", "Müller Röntgen.pdf"),
        ("../../etc/passwd", "passwd", ""),
        ("C:\\scans\\a.pdf", "a.pdf", ""),
        ("x" * 400 + ".pdf", "x" * 255, ""),
        ("100%.pdf", "100_.pdf", "100%.pdf"),
    ],
)
def test_file_names(served: Served, stored: Stored, sent: str, plain: str, full: str) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="data"; filename="{sent}"\r\n\r\n'.encode()
    with served.client() as client:
        answer = client.post(
            f"{stored.path}/attachment",
            content=head + PDF + b"\r\n--b--\r\n",
            headers={"content-type": "multipart/form-data; boundary=b"},
        ).json()
        got = client.get(by_version(stored, answer))
    assert f'filename="{plain}"' in got.headers["content-disposition"]
    if full:
        assert got.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(full)}")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "Multipart/Mixed; charset=utf-8"])
def test_a_form_without_a_boundary_is_no_attachment(
    served: Served, stored: Stored, content_type: str
) -> None:
    with served.client() as client:
        before = client.get(f"{stored.path}/count").json()
        for path in (f"{stored.path}/attachment", f"/api/v3/storage/namespace/{NAMESPACE}/image"):
            refused = client.post(path, content=PDF, headers={"content-type": content_type})
            assert refused.status_code == 400 and "boundary" in error_of(refused)["message"]
        assert client.get(f"{stored.path}/count").json() == before


def test_missing_attachments(served: Served, stored: Stored) -> None:
    with served.client() as client:
        answer = client.post(f"{stored.path}/attachment", content=PDF).json()
        wrong = by_version(stored, {**answer, "attachment_version": "A" * 27})
        elsewhere = by_version(stored, answer).replace(stored.study.uid, "1.2.3")
        assert error_of(client.get(wrong))["kind"]["code"] == 16
        assert client.get(wrong).status_code == 404
        assert client.get(elsewhere).status_code == 404
        assert (
            client.post(
                f"{stored.path.replace(stored.study.uid, '1.2.3')}/attachment", content=PDF
            ).status_code
            == 404
        )
        no_file = client.post(f"{stored.path}/attachment", files={"other": (None, "text")})
        assert no_file.status_code == 400 and "data" in error_of(no_file)["message"]
    with served.anonymous() as nobody:
        assert nobody.get(by_version(stored, answer)).status_code == 401
        assert nobody.post(f"{stored.path}/attachment", content=PDF).status_code == 401


def test_a_reader_that_leaves_is_noticed(served: Served, stored: Stored, log_lines: list[str]) -> None:
    big = bytes(64 << 20)
    with served.client() as client:
        answer = client.post(f"{stored.path}/attachment", content=big).json()
        with client.stream("GET", by_version(stored, answer)) as response:
            next(response.iter_raw(1000))
        client.close()
    until = time.monotonic() + 20
    while not (left := [line for line in log_lines if " 499 " in line]):
        assert time.monotonic() < until, "it went on reading for nobody"
        time.sleep(0.02)
    assert int(left[0].split()[-2]) < len(big)


def test_a_large_one_streams_in_both_directions(served: Served, stored: Stored) -> None:
    big = bytes(range(256)) * 20_000
    with served.client() as client:
        answer = client.post(
            f"{stored.path}/attachment", files={"data": ("big.bin", big, "application/octet-stream")}
        ).json()
        path = by_version(stored, answer)
        assert client.get(path).content == big
        part = client.get(path, headers={"Range": "bytes=1000000-4200000"})
        assert part.status_code == 206 and part.content == big[1_000_000:4_200_001]
        stale = client.get(path, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
        assert stale.status_code == 200 and len(stale.content) == len(big)
