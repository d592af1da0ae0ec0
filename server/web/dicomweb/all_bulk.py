"""WADO-RS bulk and pixel data of a study, a series or an instance as a whole (PS3.18 10.4.1.1.5 and 6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from core.access.rights import Right
from core.archive.listing import Listed
from core.archive.nouns import StoredImage
from core.dicom.bulk import way_of
from core.dicom.json_model import Model
from core.dicom.syntaxes import transfer_syntax
from core.errors import NotAcceptable, NotFound
from server.web.call import Receive, Scope, Send, call_of
from server.web.dicomweb.bulk import PIXEL_DATA, found_at, pieces_of
from server.web.dicomweb.coded import OCTETS
from server.web.dicomweb.frames import FrameSender
from server.web.dicomweb.media import ANY_SYNTAX, EVERYTHING, RELATED, MediaRange, accepted
from server.web.dicomweb.metadata import Described
from server.web.dicomweb.objects import check_stored
from server.web.dicomweb.parts import Parts
from server.web.dicomweb.places import INSTANCE, SERIES, STUDY, at_each, base_url, listed_at, namespace_of
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
PIXELS = (PIXEL_DATA, 0x7FE00008, 0x7FE00009)
"""Pixel Data, Float and Double Float Pixel Data."""
AS_STORED = MediaRange(RELATED, parameters={"type": OCTETS, "transfer-syntax": ANY_SYNTAX})
WOULD_DO = 'Ask for multipart/related; type="application/octet-stream".'


class AllBulkRoutes:
    """The handlers, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._frames = FrameSender(services)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: (RELATED,), 404: ("application/json",), 406: ("application/json",)}
        query = {"accept": "As the header Accept, for callers that cannot set it."}
        return [
            Operation(path, "GET", handler, TAG, answers=answers, query=query, documented=documented)
            for ending, handler in (("bulkdata", self.bulk_data), ("pixeldata", self.pixel_data))
            for resource in (STUDY, SERIES, INSTANCE)
            for path, documented in at_each(f"{resource}/{ending}")
        ]

    async def bulk_data(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every binary value of the objects of a study, a series, or an instance: a part for each.

        `Content-Location` is its address in the metadata. Compressed pixel data are a part for each frame,
        uncompressed, with `transfer-syntax=*` as they are stored.
        """
        await self.send(scope, receive, send, only=None)

    async def pixel_data(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The pixel data of the objects of a study, a series, or an instance, as with bulk data."""
        await self.send(scope, receive, send, only=PIXELS)

    async def send(self, scope: Scope, receive: Receive, send: Send, *, only: Sequence[int] | None) -> None:
        """Answer with the values, of the tags in *only* if it is given. Raises NotFound, NotAcceptable."""
        call = call_of(scope)
        accepts = [_as_octets(each) for each in accepted(call) if is_octets(each)]
        if not accepts:
            raise NotAcceptable("These data come in parts of application/octet-stream.", WOULD_DO)
        described = Described(self._services.archive, base_url(scope))

        def find() -> Sequence[Listed]:
            listed = listed_at(self._services, scope, namespace_of(self._services, scope, Right.VIEW))
            check_stored([each.image for each in listed])
            return listed

        listed = await self._services.run(find)
        parts = Parts(OCTETS)
        await parts.send(call, receive, send, self._pieces(parts, described, listed, accepts, only))

    async def _pieces(
        self,
        parts: Parts,
        described: Described,
        listed: Sequence[Listed],
        accepts: Sequence[MediaRange],
        only: Sequence[int] | None,
    ) -> AsyncGenerator[bytes, None]:
        """Raises NotFound if there is none at all."""
        empty = True
        for each in listed:
            model = await self._services.run(lambda each=each: described.model(each))  # type: ignore[misc] # bound now
            for address in addresses(model):
                way = way_of(address.rpartition("/bulkdata/")[2])
                if only is not None and (len(way) > 1 or way[0] not in only):
                    continue
                async with aclosing(self._value(parts, each.image, way, address, accepts)) as pieces:
                    async for piece in pieces:
                        empty = False
                        yield piece
        if empty:
            raise NotFound("bulk data", "There are no such data here.")

    async def _value(
        self,
        parts: Parts,
        image: StoredImage,
        way: tuple[int, ...],
        address: str,
        accepts: Sequence[MediaRange],
    ) -> AsyncGenerator[bytes, None]:
        """One value as a part, or as one for each frame."""
        syntax = transfer_syntax(image.transfer_syntax_uid)
        if way == (PIXEL_DATA,) and syntax.encapsulated and not syntax.video:
            coding, opened = await self._frames.opened([*accepts, AS_STORED], image, single=False)
            numbers = range(1, opened.frame_count + 1)
            pieces = self._frames.pieces(parts, coding, opened, numbers, lambda _: address)
        else:
            found = await self._services.run(lambda: found_at(image, way))
            head = parts.head(OCTETS, found.size, address)
            pieces = pieces_of(self._services, found, head, 0, found.size)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece


def is_octets(each: MediaRange) -> bool:
    """Whether parts of application/octet-stream would do."""
    if each.type in {"multipart/*", EVERYTHING}:
        return True
    return each.type == RELATED and each.inner in {"", EVERYTHING, OCTETS, "application/*"}


def _as_octets(each: MediaRange) -> MediaRange:
    """What *each* means of pixel data; who takes anything gets them as they are stored."""
    wanted = ANY_SYNTAX if each.type == EVERYTHING else each.transfer_syntax
    return MediaRange(RELATED, parameters={"type": OCTETS, "transfer-syntax": wanted})


def addresses(model: Model) -> Iterator[str]:
    """The address of each binary value, in the order of the elements."""
    for tag in sorted(model):
        element = model[tag]
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        elif element["vr"] == "SQ":
            for item in element.get("Value", ()):
                yield from addresses(item)
