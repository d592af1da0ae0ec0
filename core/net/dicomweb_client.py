"""Client of a DICOMweb archive (PS3.18): store, search, retrieve; signed in with each request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from ssl import SSLContext
from typing import BinaryIO
from urllib.parse import quote, urlencode

from core.dicom.json_model import Model
from core.dicom.model_values import text
from core.dicom.ports import Coded
from core.errors import BadInput, KnownError, NotFound
from core.net.address import Address, parse
from core.net.answers import Answer, UnknownNamespace, known_error
from core.net.credentials import Access, Credentials, Token
from core.net.http import Params, Timeouts, Transport
from core.net.one_part import copy_only_part, only_part
from core.net.post import Poster
from core.net.related import RelatedBody
from core.net.session import basic
from core.net.store_answer import StoreAnswer, read_answer

DICOM, DICOM_JSON, DICOM_XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
OBJECTS = 'multipart/related; type="application/dicom"'
FRAMES = 'multipart/related; type="application/octet-stream"'
STUDIES = "/studies"
SOP_UID = "00080018"
WRONG_PLACE = "Check the address; it often ends in /dicom-web or /rs."
PAGE = 1000
"""Matches asked for at once; whoever gives fewer, or all, is understood as well."""


def service_root(url: str) -> tuple[Address, str]:
    """Where the service at *url* begins, and the resource behind that: "/studies", or one study of it.

    People write either the service or its /studies. Raises BadInput.
    """
    address = parse(url)
    before, found, study = (address.prefix + "/").rpartition(f"{STUDIES}/")
    if not found:
        return address, STUDIES
    return replace(address, prefix=before), f"{STUDIES}/{study}".rstrip("/")


class DicomWebClient:
    """One archive as one account sees it, from any number of threads; whoever made it closes it."""

    def __init__(
        self,
        base_url: str,
        access: Access = None,
        timeouts: Timeouts | None = None,
        context: SSLContext | None = None,
    ) -> None:
        self.address, _ = service_root(base_url)
        self._made_of = (base_url, access, timeouts)
        self._transport = Transport(self.address, timeouts, context=context)
        self._poster = Poster(self.address, timeouts)
        self._headers = authorization(access)
        self._others: set[DicomWebClient] = set()
        self._of: DicomWebClient | None = None

    def another(self) -> DicomWebClient:
        """One with connections of its own, to be closed apart; it is closed with this one at the latest."""
        made = type(self)(*self._made_of, self._transport.context)
        made._of = self
        self._others.add(made)
        return made

    @property
    def base_url(self) -> str:
        """The address of the service, without /studies."""
        return str(self.address)

    @property
    def peer(self) -> str:
        """Host and port."""
        return self.address.peer

    def close(self) -> None:
        """Close all connections, and cut what is under way."""
        for each in list(self._others):
            each.close()
        if self._of is not None:
            self._of._others.discard(self)
        self._poster.close()
        self._transport.close()

    def alive(self) -> None:
        """Come back if anything answers there. Raises Unreachable."""
        self._transport.request("GET", f"{STUDIES}?limit=1", headers=self._headers)

    def store(
        self, body: RelatedBody, inner: str, resource: str = STUDIES, *, accept: str = DICOM_JSON
    ) -> StoreAnswer:
        """Store the parts of *body*, *inner* in the main; what became of each object. Raises KnownError."""
        headers = {**self._headers, "Accept": accept, "Content-Type": body.content_type(inner)}
        return read_answer(self._poster.post(resource, body, body.size, headers), self.peer)

    def search(self, resource: str, params: Params, *, limit: int = PAGE, offset: int = 0) -> list[Model]:
        """One page of matches of QIDO-RS (PS3.18 10.6). Raises KnownError."""
        paging: Params = [("limit", limit), *([("offset", offset)] if offset else [])]
        try:
            return self._models(resource, [*params, *paging])
        except (BadInput, NotFound) as error:
            if resource != STUDIES:
                raise
            if isinstance(error, NotFound):
                raise no_service(self.peer) from error
            raise BadInput(error.message, WRONG_PLACE) from error

    def search_all(
        self, resource: str, params: Params, key: str, *, limit: int = PAGE, count: int = 0
    ) -> Iterator[Model]:
        """Every match once, told apart by the UID of *key*: pages are asked for until one brings nothing new.

        Some give less than was asked for, some all at once, some do not know pages. *count*: how many there
        are, if that is known: then nobody is asked for more than these. Raises KnownError.
        """
        seen: set[str] = set()
        offset = 0
        while True:
            page = self.search(resource, params, limit=limit, offset=offset)
            offset += len(page)
            fresh = {uid: each for each in page if (uid := text(each, key)) and uid not in seen}
            if not fresh:
                return
            seen |= set(fresh)
            yield from fresh.values()
            if len(seen) == count and len(page) < limit:
                return

    def metadata(self, resource: str) -> list[Model]:
        """The elements of every object of *resource*, bulk data as addresses. Raises KnownError."""
        return self._models(f"{resource}/metadata", [])

    def frame(self, instance: str, number: int) -> Coded:
        """One frame of an instance, counted from 1; as it is stored if it can be. Raises KnownError."""
        resource = f"{instance}/frames/{number}"
        try:
            answer = self.get(resource, f"{FRAMES}; transfer-syntax=*")
        except BadInput:
            answer = self.get(resource, FRAMES)
        part = only_part(answer, self.peer)
        if not part.media_type.startswith(("application/octet-stream", "image/")):
            raise KnownError(f"{self.peer} sent something else than a frame.")
        return Coded(part.data, part.parameters.get("transfer-syntax", ""))

    def instance(self, instance: str, out: BinaryIO) -> None:
        """Write an object to *out*, as it is stored if it can be had so. Raises KnownError."""
        for accept in (f"{OBJECTS}; transfer-syntax=*", OBJECTS):
            try:
                return self._copied(instance, accept, out)
            except BadInput:  # it reads the header otherwise (400), or cannot give it so (406)
                continue
        self._copied(instance, DICOM, out)

    def _copied(self, instance: str, accept: str, out: BinaryIO) -> None:
        with self.stream(instance, accept) as pieces:
            copy_only_part(pieces, out, self.peer)

    @contextmanager
    def stream(self, resource: str, accept: str) -> Iterator[Iterator[bytes]]:
        """The body of GET *resource* as it comes in. Raises KnownError."""
        with self._transport.stream(resource, headers={**self._headers, "Accept": accept}) as got:
            if isinstance(got, Answer):
                raise known_error(got, self.peer)
            yield got

    def get(self, resource: str, accept: str) -> Answer:
        """GET *resource*, 2xx only. Raises KnownError."""
        answer = self._transport.request("GET", resource, headers={**self._headers, "Accept": accept})
        if not answer.ok:
            raise known_error(answer, self.peer)
        return answer

    def _models(self, resource: str, params: Params) -> list[Model]:
        headers = {**self._headers, "Accept": DICOM_JSON}
        answer = self._transport.request("GET", resource + _query(params), headers=headers)
        if not answer.ok:
            raise known_error(answer, self.peer)
        if answer.status == 204 or not answer.content.strip():
            return []
        try:
            found = json.loads(answer.content)
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise KnownError(
                f"{self.peer} answers, but not as a DICOMweb archive does.",
                WRONG_PLACE,
            )
        return found


def no_service(peer: str) -> NotFound:
    """The error for an address with something else behind it."""
    return NotFound("storage", f"{peer} answers, but has no DICOMweb service there.", WRONG_PLACE)


def _query(params: Params) -> str:
    """What stands behind the address. Signs of a search stay as they are: not everybody decodes them."""
    return f"?{urlencode(params, quote_via=quote, safe='*,?')}" if params else ""


def held(client: DicomWebClient, study_uid: str, params: Params | None = None) -> Iterator[str]:
    """SOP Instance UIDs the archive says it has of a study; of an unknown one none. Raises KnownError."""
    try:
        for each in client.search_all(f"{STUDIES}/{study_uid}/instances", params or [], SOP_UID):
            yield text(each, SOP_UID)
    except (NotFound, UnknownNamespace):  # a namespace is created by the first store
        return


def authorization(access: Access) -> Mapping[str, str]:
    """The header that signs in with every request; DICOMweb knows no sessions."""
    if isinstance(access, Credentials):
        return basic(access)
    return {"Authorization": f"Bearer {access.value}"} if isinstance(access, Token) else {}
