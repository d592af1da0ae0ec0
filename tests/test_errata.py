"""The list of mended lines is complete: what the tests run is what is published, or what is listed."""

from __future__ import annotations

import json

import pytest

from tests.api_documents import DOCUMENTS, ERRATA, Erratum, bare, errata
from tests.interop import test_curl_service as service
from tests.interop import test_curl_v3 as studies
from tests.interop import test_curl_v3_orders as orders

STORAGE = "v3-storage.txt"
SERVICE = "dicom-service.txt"
RUN = (
    *studies.JSON_LINES.values(),
    *(line for line, _ in studies.BYTE_LINES.values()),
    studies.UPLOAD,
    studies.ROUTED,
    studies.ATTACH,
    studies.BY_VERSION,
    studies.LATEST,
    studies.DELETE,
    orders.UPLOAD,
    orders.POST_ORDER,
    orders.SEARCH % ("{field}", "{value}"),
    orders.ASSOCIATE,
    orders.SILENTLY,
    orders.PHI.replace("{ns}", "{namespace}").replace("{order_namespace}", "{phi_namespace}"),
    orders.NOTIFY,
    orders.FORGET,
    orders.LIST,
    orders.SCAN,
)
"""Every line of that document which the tests have curl run."""


def test_every_entry_is_read() -> None:
    assert len(errata()) == ERRATA.read_text("utf-8").count("\n## ")


def test_each_mended_line_is_one_that_is_run() -> None:
    run = {bare(line) for line in RUN}
    mended = {bare(each.mended) for each in errata() if _mends_curl(each, STORAGE)}
    assert len(mended) == 2 and mended <= run
    (relevant,) = (json.loads(f"{{{each.mended}}}") for each in errata() if "patient_mrn" in each.mended)
    assert relevant == orders.RELEVANT


def _mends_curl(each: Erratum, document: str) -> bool:
    return each.document == document and each.mended.startswith("curl")


def test_each_mended_line_of_the_service_is_one_that_is_run() -> None:
    mended = {bare(each.mended) for each in errata() if _mends_curl(each, SERVICE)}
    assert mended and mended <= {bare(line) for line in service.LINES}


@pytest.mark.skipif(not (DOCUMENTS / SERVICE).exists(), reason="the API documents are not beside the project")
def test_all_else_of_the_service_is_run_as_published() -> None:
    text = bare((DOCUMENTS / SERVICE).read_text("utf-8"))
    mended = {bare(each.mended): bare(each.published) for each in errata() if _mends_curl(each, SERVICE)}
    published = [mended.get(bare(line), bare(line)) for line in service.LINES]
    assert [line for line in published if line not in text] == []


@pytest.mark.skipif(not (DOCUMENTS / STORAGE).exists(), reason="the API documents are not beside the project")
def test_all_else_is_run_as_published() -> None:
    text = bare((DOCUMENTS / STORAGE).read_text("utf-8"))
    others = [each for each in errata() if each.document != STORAGE]
    for each in others:
        assert bare(each.published) in bare((DOCUMENTS / each.document).read_text("utf-8"))
    mended = {bare(each.mended): bare(each.published) for each in errata() if each not in others}
    published = [mended.get(bare(line), bare(line)) for line in RUN]
    assert [line for line in [*published, *mended.values()] if line not in text] == []
    assert (
        sorted({bare(each.mended) for each in errata()} & {bare(line) for line in RUN if bare(line) in text})
        == []
    )
