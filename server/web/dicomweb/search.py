"""QIDO-RS, the search transaction (PS3.18 10.6): studies, series and instances by any attribute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.access.rights import Right
from core.archive.level_rows import Level
from core.archive.matching_keys import (
    EMPTY,
    NO_KEY_VRS,
    Key,
    Path,
    Test,
    key_vr,
    keys_of,
    path_of,
    shown,
    tests_of,
)
from core.archive.query import Query
from core.archive.returned import Answers, Fields
from core.dicom.json_model import Model
from core.dicom.recoding import dictionary_vr
from core.errors import BadInput, NotAcceptable
from server.web.call import Call, Receive, Scope, Send, answer, answer_json, call_of
from server.web.dicomweb.media import RELATED
from server.web.dicomweb.model_forms import DICOM_JSON, DICOM_XML, WOULD_DO, each_of, model_form, send_xml
from server.web.dicomweb.places import at_each, base_url, namespace_known, namespace_of, view_of
from server.web.errors import encode
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
STUDY = "/studies/{study_uid}"
SERIES = STUDY + "/series/{series_uid}"
RESOURCES = {
    "/studies": Level.STUDY,
    "/series": Level.SERIES,
    "/instances": Level.IMAGE,
    STUDY + "/series": Level.SERIES,
    STUDY + "/instances": Level.IMAGE,
    SERIES + "/instances": Level.IMAGE,
}
USUAL, MOST = 1000, 20_000
"""Answers without a limit: of an archive, and of one study."""
PARAMETERS = {
    "limit": "At most so many answers.",
    "offset": "Leave out so many answers.",
    "orderby": "Keywords or tags with commas between; a minus before one turns its order.",
    "includefield": "Keywords or tags with commas between, or all.",
    "fuzzymatching": "true: names match with typing errors and in any order.",
    "emptyvaluematching": 'true, as without it: "" is wanted where a value is absent; false: it is refused.',
    "multiplevaluematching": "true: every value of a key must be there, as of ModalitiesInStudy; false: one.",
    "strict": "true: a key that is not supported is refused; false: it is ignored, and a Warning names it.",
    "accept": "As the header Accept, for callers that cannot set it.",
}
REFUSED = ("application/json",)
ANSWERS = {200: (DICOM_JSON, "application/json", RELATED), 204: (), 400: REFUSED, 406: REFUSED}
COUNTS = {200: ("application/json",), 400: REFUSED}
"""The media types of answers, by status."""
OTHERS = frozenset({"phi_namespace", "sid", "charset", "returnempty", "expired", "incomplete"})
"""Parameters that are no keys; what other archives take beside is left unheeded."""
COMPUTED = frozenset({0x00081190, 0x00201209})
"""Retrieve URL, Number of Series Related Instances: answered with, never searched for."""
CHARSET, TIMEZONE = 0x00080005, 0x00080201
"""They say how a query is written and are never matched (PS3.4 C.2.2.2): in UTF-8, with times as stored."""
DATA_SET_GROUP = 0x0008
"""What is below belongs to files, messages and directories, not to the data sets that are searched."""
WARNING = '299 Filmjacket "{}"'
MORE = "There are additional results that can be requested"
RETRIEVE_URL = "00081190"
FOLDERS = ("studies", "series", "instances")


@dataclass(slots=True)
class Asked:
    """A request as it was understood; *unsupported* keys did not restrict anything."""

    keys: list[Key] = field(default_factory=list)
    fields: set[int] = field(default_factory=set)
    everything: bool = False
    unsupported: list[str] = field(default_factory=list)

    @property
    def tests(self) -> list[Test]:
        """What must match, keys that belong together as one."""
        return tests_of(self.keys)

    def warnings(self, *, more: bool) -> list[tuple[bytes, bytes]]:
        """The headers that say what the answer does not."""
        said = [f"The key {name} is not supported and was ignored" for name in self.unsupported[:20]]
        said += [MORE] if more else []
        return [(b"warning", WARNING.format(each).encode("ascii")) for each in said]


class SearchRoutes:
    """Handlers of searches, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        return [
            Operation(path + end, "GET", handler, TAG, answers=given, query=PARAMETERS, documented=documented)
            for resource in RESOURCES
            for path, documented in at_each(resource)
            for end, handler, given in (("", self.search, ANSWERS), ("/count", self.count, COUNTS))
        ]

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Studies, series or instances that match the keys of the query.

        A key is a keyword or tag, of sequences with dots between; its value one value, a list, a range of
        dates or times, with `*` and `?`, empty for anything, or `""` for absent. 204 when nothing matches.
        """
        media_type = media_type_of(call_of(scope))
        query, asked = self.understood(scope, _level_of(scope["path"]))
        base = base_url(scope)

        def work() -> tuple[bytes, Answers]:
            found = self._services.searcher.answers(query, Fields(frozenset(asked.fields), asked.everything))
            if not found.models:
                namespace_known(self._services, scope)
            return b"" if media_type == DICOM_XML else _body(found, base), found

        body, found = await self._services.run(work)
        headers = asked.warnings(more=found.more)
        if not found.models:
            await answer(send, 204, b"", headers)
            return
        if media_type == DICOM_XML:
            await send_xml(call_of(scope), receive, send, each_of(_complete(found, base)), headers)
            return
        await answer(send, 200, body, [(b"content-type", media_type.encode("ascii")), *headers])

    async def count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """How many studies, series or instances match."""
        query, asked = self.understood(scope, _level_of(scope["path"]))

        def work() -> int:
            number = self._services.searcher.count(query)
            if not number:
                namespace_known(self._services, scope)
            return number

        number = await self._services.run(work)
        await answer_json(send, 200, {"count": number}, asked.warnings(more=False))

    def understood(self, scope: Scope, level: Level) -> tuple[Query, Asked]:
        """What is asked for. Raises NotFound (AE title), Denied, BadInput naming the key."""
        call, params = call_of(scope), scope["path_params"]
        namespace = namespace_of(self._services, scope, Right.VIEW)
        asked = asked_of(call, strict=self._services.about.strict)
        study_uid, series_uid = params.get("study_uid", ""), params.get("series_uid", "")
        query = Query(
            level=level,
            namespace=namespace,
            study_uid=study_uid,
            series_uid=series_uid,
            keys=asked.keys,
            order=_order_of(call),
            limit=min(MOST, call.number("limit", MOST if study_uid else USUAL)),
            offset=call.number("offset", 0),
            view=view_of(self._services, scope),
        )
        return query, asked


def asked_of(call: Call, *, strict: bool) -> Asked:
    """Keys and fields of the query; *strict* unless it says otherwise. Raises BadInput naming a key."""
    asked = _read(call)
    strict = call.flag("strict") if "strict" in call.query_names() else strict
    if asked.unsupported and strict:
        raise BadInput(
            f"The key {asked.unsupported[0]} is not supported.", "Leave it out, or leave strict out."
        )
    return asked


def _read(call: Call) -> Asked:
    """Keys and fields of the query. Raises BadInput."""
    asked, fuzzy, every = Asked(), call.flag("fuzzymatching"), call.flag("multiplevaluematching")
    empty = call.flag("emptyvaluematching") or "emptyvaluematching" not in call.query_names()
    for name in call.query_names():
        if name in PARAMETERS or name in OTHERS:
            continue
        values = call.queries(name)
        if len(values) > 1:
            raise BadInput(f"The key {shown(name)} is given twice.", "Give it once, values with \\ between.")
        path, text = path_of(name), values[0].strip()
        if path == (CHARSET,):
            continue
        if path is None or not _can_be_key(path, text):
            asked.unsupported.append(shown(name))
            continue
        if text == EMPTY and not empty:
            raise BadInput(
                f'The key {shown(name)} asks for "", no value, which emptyvaluematching=false rules out.',
                "Leave one of the two out.",
            )
        asked.fields.update(_with_creator(path[0]))
        if not _is_sequence(path[-1]):
            asked.keys += keys_of(shown(name), path, text, fuzzy=fuzzy, every=every)
    for text in call.queries("includefield"):
        _include(asked, text)
    return asked


def _can_be_key(path: Path, text: str) -> bool:
    """Whether it is searched for; a sequence without a value is only to be returned (C.2.2.2.6)."""
    *outer, last = map(key_vr, path)
    no_data_set = path[0] >> 16 < DATA_SET_GROUP
    if path[0] in COMPUTED or path == (TIMEZONE,) or no_data_set or not set(outer) <= {"SQ"}:
        return False
    return last not in NO_KEY_VRS or bool(path[-1] >> 16 & 1) or (last == "SQ" and not text)


def _is_sequence(tag: int) -> bool:
    return dictionary_vr(tag) == b"SQ"


def _with_creator(tag: int) -> set[int]:
    """*tag*, of a private element with that of its Private Creator (PS3.18 10.6.3.3)."""
    private = tag >> 16 & 1 and tag & 0xFFFF >= 0x1000
    return {tag, tag & 0xFFFF0000 | tag >> 8 & 0xFF} if private else {tag}


def _include(asked: Asked, text: str) -> None:
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name.lower() == "all":
            asked.everything = True
            continue
        path = path_of(name)
        if path is None:
            asked.unsupported.append(shown(name))
        elif path[0] not in COMPUTED:
            asked.fields.update(_with_creator(path[0]))


def _order_of(call: Call) -> Sequence[tuple[int, bool]]:
    found = []
    for text in call.queries("orderby"):
        for name in filter(None, (part.strip() for part in text.split(","))):
            path = path_of(name.removeprefix("-"))
            if path is None or len(path) > 1:
                raise BadInput(f"The orderby attribute {shown(name)} is unknown.", "Give a keyword or tag.")
            found.append((path[0], name.startswith("-")))
    return found


def _level_of(path: str) -> Level:
    resource = path.removesuffix("/count").rpartition("/")[2]
    return RESOURCES["/" + resource]


def media_type_of(call: Call) -> str:
    """The form that is asked for. Raises NotAcceptable."""
    form = model_form(call)
    if form is None:
        raise NotAcceptable("Answers of a search cannot be had in that form.", WOULD_DO)
    return form


def _complete(found: Answers, base: str) -> Iterator[Model]:
    for uids, model in found.models:
        place = "".join(f"/{folder}/{uid}" for folder, uid in zip(FOLDERS, uids, strict=False))
        yield {**model, RETRIEVE_URL: {"vr": "UR", "Value": [base + place]}}


def _body(found: Answers, base: str) -> bytes:
    return encode(list(_complete(found, base)))
