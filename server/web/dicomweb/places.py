"""The addresses of DICOMweb, and the namespace each of them means."""

from __future__ import annotations

from collections.abc import Iterator

from core.access.rights import Right
from core.archive.ae_titles import DEFAULT_NAMESPACE
from core.errors import BadInput
from server.web.call import Call, Scope, call_of, caller_of
from server.web.services import Services

BASES = ("/dicom-web", "/dcm4chee-arc/aets/{aet}/rs", "/api/v3/storage/dicomweb/{namespace}", "")
"""The same resources lie below each; the first is the one that is documented, the root comes last."""


def at_each(path: str) -> Iterator[tuple[str, bool]]:
    """*path* below every base, and whether it is to be documented there."""
    for base in BASES:
        yield base + path, base == BASES[0]


def namespace_of(services: Services, scope: Scope, right: Right) -> str:
    """The namespace in which the caller may do what they ask for. Raises NotFound (AE title), Denied."""
    params = scope["path_params"]
    if "namespace" in params:
        namespace: str = params["namespace"]
    else:
        namespace = services.ae_titles.namespace(params["aet"]) if "aet" in params else DEFAULT_NAMESPACE
    caller_of(scope).require(right, namespace)
    if call_of(scope).query("phi_namespace"):
        raise BadInput("Objects are given as they were stored here.", "Leave phi_namespace out.")
    return namespace


def base_url(scope: Scope) -> str:
    """The address under which the caller has reached this family, for the URLs an answer names."""
    params, call = scope["path_params"], call_of(scope)
    path = next(base for base in BASES if _fits(base, scope["path"]))
    for name in ("aet", "namespace"):
        path = path.replace("{" + name + "}", params.get(name, ""))
    return f"{_scheme(scope, call)}://{_host(scope, call)}{path}"


def _fits(base: str, path: str) -> bool:
    return path.startswith(base.partition("{")[0]) if base else True


def _scheme(scope: Scope, call: Call) -> str:
    forwarded = call.header(b"x-forwarded-proto").lower()
    return forwarded if forwarded in {"http", "https"} else str(scope.get("scheme", "http"))


def _host(scope: Scope, call: Call) -> str:
    """As the caller wrote it: the gate has proven that it is one of ours."""
    if host := call.header(b"host"):
        return host
    name, port = scope.get("server") or ("127.0.0.1", None)
    return f"{name}:{port}" if port else str(name)
