"""The Retrieve Capabilities transaction (PS3.18 8.9): what can be done where, as WADL or the same in JSON.

OPTIONS answers for one address, and at a base for all of them, as `/conformance` below it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from core.errors import NotAcceptable
from server.web.call import Call, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.media import EVERYTHING, accepted
from server.web.dicomweb.places import BASES, title_known, url_of
from server.web.errors import encode
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
WADL, JSON = "application/vnd.sun.wadl+xml", "application/json"
NAMESPACE = "http://wadl.dev.java.net/2009/02"
FORMS = {
    WADL: WADL,
    "application/xml": WADL,
    "text/xml": WADL,
    "application/*": WADL,
    EVERYTHING: WADL,
    JSON: JSON,
}
WOULD_DO = f"Ask for {WADL} or {JSON}."
CONFORMANCE = "/conformance"
QUERY = {"accept": "As the header Accept, for callers that cannot set it."}

Method = dict[str, Any]
Resource = dict[str, Any]


class CapabilityRoutes:
    """Handlers that describe *described*, the other routes of the family."""

    def __init__(self, services: Services, described: Sequence[Operation]) -> None:
        self._services = services
        self._described = described

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: (WADL, JSON), 406: (JSON,)}
        paths = dict.fromkeys(each.path for each in self._described)
        bases = [base or "/" for base in BASES]
        found = [(path, "OPTIONS", self.one) for path in paths]
        found += [(base, "OPTIONS", self.whole) for base in bases]
        found += [(base + CONFORMANCE, method, self.whole) for base in BASES for method in ("GET", "OPTIONS")]
        documented = {each.path for each in self._described if each.documented}
        documented |= {BASES[0], BASES[0] + CONFORMANCE}
        return [
            Operation(path, method, handler, TAG, answers=answers, query=QUERY, documented=path in documented)
            for path, method, handler in found
        ]

    async def one(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What can be done at this address (PS3.18 8.9)."""
        template: str = scope["route"].path
        await self._send(scope, send, [each for each in self._described if each.path == template])

    async def whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the DICOMweb service can do: its resources, their methods, parameters and media types."""
        base = _base_of(scope["route"].path)
        chosen = [each for each in self._described if _base_of(each.path) == base]
        await self._send(scope, send, chosen)

    async def _send(self, scope: Scope, send: Send, chosen: Sequence[Operation]) -> None:
        title_known(self._services, scope)
        call = call_of(scope)
        form = _form(call)
        base = _base_of(scope["route"].path)
        resources, url = _resources(chosen, base), url_of(scope, base)
        body = _json(resources, url) if form == JSON else _wadl(resources, url)
        headers = [(b"content-type", form.encode("ascii"))]
        if call.method == "OPTIONS":
            headers.append((b"allow", scope["state"]["allowed"]().encode("ascii")))
        await answer(send, 200, body, headers)


def _form(call: Call) -> str:
    for each in accepted(call):
        if each.type in FORMS:
            return FORMS[each.type]
    raise NotAcceptable("The capabilities cannot be had in any of the accepted media types.", WOULD_DO)


def _base_of(path: str) -> str:
    """The base a template lies below; WADO-URI, which has none, is described with the root."""
    return next((base for base in BASES if base and path.startswith(base)), "")


def _resources(chosen: Iterable[Operation], base: str) -> list[Resource]:
    """Each address with its methods, as WADL has them."""
    found: dict[str, Resource] = {}
    for each in chosen:
        path = re.sub(r":\w+}", "}", each.path[len(base) :]).lstrip("/")
        names = re.findall(r"{(\w+)}", path)
        resource = found.setdefault(path, {"path": path, "template": names, "methods": []})
        resource["methods"].append(_method(each))
        if each.method == "GET":
            resource["methods"].append({**_method(each), "name": "HEAD", "answers": {}})
    return [found[path] for path in sorted(found)]


def _method(each: Operation) -> Method:
    text = (each.handler.__doc__ or "").partition("\n")[0].strip()
    answers = {status: list(types) for status, types in each.answers.items()}
    return {
        "name": each.method,
        "doc": text,
        "query": dict(each.query),
        "body": list(each.body),
        "answers": answers,
    }


def _json(resources: Sequence[Resource], base: str) -> bytes:
    """The same elements and attributes as in WADL, a list where there may be several."""
    described = [
        {
            "path": each["path"],
            "param": [{"name": name, "style": "template"} for name in each["template"]],
            "method": [_json_method(method) for method in each["methods"]],
        }
        for each in resources
    ]
    return encode({"application": {"resources": [{"base": f"{base}/", "resource": described}]}})


def _json_method(method: Method) -> dict[str, Any]:
    params = [{"name": name, "style": "query", "doc": text} for name, text in method["query"].items()]
    return {
        "name": method["name"],
        "doc": method["doc"],
        "request": {"param": params, "representation": [{"mediaType": each} for each in method["body"]]},
        "response": [
            {"status": str(status), "representation": [{"mediaType": each} for each in types]}
            for status, types in method["answers"].items()
        ],
    }


def _wadl(resources: Sequence[Resource], base: str) -> bytes:
    application = Element("application", xmlns=NAMESPACE)
    parent = SubElement(application, "resources", base=f"{base}/")
    for each in resources:
        resource = SubElement(parent, "resource", path=each["path"])
        for name in each["template"]:
            SubElement(resource, "param", name=name, style="template", required="true")
        for method in each["methods"]:
            _wadl_method(resource, method)
    document: bytes = tostring(application, encoding="utf-8", xml_declaration=True)
    return document


def _wadl_method(resource: Element, method: Method) -> None:
    element = SubElement(resource, "method", name=method["name"])
    SubElement(element, "doc").text = method["doc"]
    request = SubElement(element, "request")
    for name, text in method["query"].items():
        SubElement(SubElement(request, "param", name=name, style="query"), "doc").text = text
    for media_type in method["body"]:
        SubElement(request, "representation", mediaType=media_type)
    for status, types in method["answers"].items():
        response = SubElement(element, "response", status=str(status))
        for media_type in types:
            SubElement(response, "representation", mediaType=media_type)
