"""The two forms of what is told about objects: the DICOM JSON model, and the Native DICOM Model in XML."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence

from core.dicom.json_model import Model
from core.dicom.native_xml import as_xml
from server.web.call import Call, Headers, Receive, Send, answer
from server.web.dicomweb.media import EVERYTHING, RELATED, accepted
from server.web.dicomweb.parts import Parts
from server.web.errors import encode

DICOM_JSON, DICOM_XML, JSON = "application/dicom+json", "application/dicom+xml", "application/json"
WOULD_DO = f'Ask for {DICOM_JSON}, or for {RELATED}; type="{DICOM_XML}".'


def model_form(call: Call, *, alone: bool = False) -> str | None:
    """The form the caller likes best of one answer or more, None if none will do.

    XML comes in parts; one that stands *alone* may be a document by itself.
    """
    for each in accepted(call):
        if each.type in {DICOM_JSON, EVERYTHING, "application/*"}:
            return DICOM_JSON
        if each.type == JSON:
            return JSON
        if each.inner == DICOM_XML and (alone or each.type == RELATED):
            return DICOM_XML
    return None


def in_parts(call: Call) -> bool:
    """Whether XML is wanted in parts rather than as one document."""
    return next((each.type for each in accepted(call) if each.inner == DICOM_XML), RELATED) == RELATED


async def send_xml(
    call: Call, receive: Receive, send: Send, models: AsyncIterator[Model], headers: Headers | None = None
) -> None:
    """Answer with *models*, each a part of its own (PS3.18 8.7.3.2)."""
    parts = Parts(DICOM_XML)

    async def pieces() -> AsyncGenerator[bytes, None]:
        async for model in models:
            document = as_xml(model)
            yield parts.head(DICOM_XML, len(document)) + document

    await parts.send(call, receive, send, pieces(), headers)


async def each_of(models: Iterable[Model]) -> AsyncIterator[Model]:
    """What is there already, as what comes bit by bit."""
    for model in models:
        yield model


async def send_models(
    call: Call, receive: Receive, send: Send, models: Sequence[Model], headers: Headers, *, form: str
) -> None:
    """Answer with *models* in the *form* that was asked for; 204 where there are none."""
    if not models:
        await answer(send, 204, b"", headers)
    elif form == DICOM_XML:
        await send_xml(call, receive, send, each_of(models), headers)
    else:
        await answer(send, 200, encode(models), [(b"content-type", form.encode("ascii")), *headers])
