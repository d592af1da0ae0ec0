"""The addresses of DICOMweb, and the namespace each of them means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from core.access.rights import Right
from core.archive.ae_titles import DEFAULT_NAMESPACE
from core.archive.listing import Listed
from core.archive.nouns import StoredImage
from core.errors import BadInput, NotFound
from server.web.call import Scope, call_of, caller_of
from server.web.origin import origin_of
from server.web.services import Services

BASES = ("/dicom-web", "/dcm4chee-arc/aets/{aet}/rs", "/api/v3/storage/dicomweb/{namespace}", "")
"""The same resources lie below each; the first is the one that is documented, the root comes last."""
STUDY = "/studies/{study_uid}"
SERIES = STUDY + "/series/{series_uid}"
INSTANCE = SERIES + "/instances/{image_uid}"


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
    if right is not Right.VIEW and call_of(scope).query("phi_namespace"):
        raise BadInput("What is stored or deleted has no phi_namespace.", "Leave phi_namespace out.")
    return namespace


def view_of(services: Services, scope: Scope) -> str | None:
    """The PHI namespace through which the caller sees what is stored, None for as it is. Raises Denied.

    It is the one of the query, else that of the AE title in the address.
    """
    if asked := call_of(scope).query("phi_namespace"):
        caller_of(scope).require(Right.VIEW, asked)
        return asked
    return services.ae_titles.view(scope["path_params"].get("aet", ""))


def objects_at(services: Services, scope: Scope) -> list[StoredImage]:
    """The objects of an address as the caller's view shows them. Raises NotFound, Denied, NotAcceptable."""
    return services.views.images(images_at(services, scope), view_of(services, scope))


def title_known(services: Services, scope: Scope) -> None:
    """Raises NotFound if the address names an AE title this archive does not have."""
    if "aet" in scope["path_params"]:
        services.ae_titles.namespace(scope["path_params"]["aet"])


def namespace_known(services: Services, scope: Scope) -> None:
    """Raises NotFound if the address names a namespace in which nothing has ever been stored."""
    params = scope["path_params"]
    if "namespace" in params and params["namespace"] not in services.archive.namespaces():
        raise NotFound("namespace", "There is no such namespace.")


def images_at(services: Services, scope: Scope, right: Right = Right.VIEW) -> list[StoredImage]:
    """The objects a study, series or instance address names, in order. Raises NotFound, Denied."""
    namespace = namespace_of(services, scope, right)
    if "image_uid" in scope["path_params"]:
        return [_image_at(services, scope, namespace)]
    return [each.image for each in _listed_at(services, scope, namespace)]


async def found_at(services: Services, scope: Scope) -> list[StoredImage]:
    """The same, from memory where it can be; called on the event loop."""
    params = scope["path_params"]
    if "image_uid" in params:
        namespace = namespace_of(services, scope, Right.VIEW)
        image = services.archive.known_image(namespace, params["study_uid"], params["image_uid"])
        if image is not None and image.series_uid == params.get("series_uid", image.series_uid):
            return [image]
    return await services.run(lambda: images_at(services, scope))


def listed_at(services: Services, scope: Scope, namespace: str) -> Sequence[Listed]:
    """The same as a list. Raises NotFound."""
    if "image_uid" not in scope["path_params"]:
        return _listed_at(services, scope, namespace)
    image = _image_at(services, scope, namespace)
    found = services.archive.listed(namespace, image.study_uid, image.series_uid, image.sop_instance_uid)
    if not found:  # deleted since
        raise _no_image()
    return found


def _listed_at(services: Services, scope: Scope, namespace: str) -> Sequence[Listed]:
    params = scope["path_params"]
    try:
        found = services.archive.listed(namespace, params["study_uid"], params.get("series_uid", ""))
    except NotFound as error:
        raise _as_asked(error, scope) from error
    if not found:
        raise _no_image()
    return found


def _image_at(services: Services, scope: Scope, namespace: str) -> StoredImage:
    """The one object an instance address names; the rest of its study is not looked at."""
    params = scope["path_params"]
    try:
        image = services.archive.image(namespace, params["study_uid"], params["image_uid"])
    except NotFound as error:
        raise _as_asked(error, scope) from error
    if image.series_uid != params.get("series_uid", image.series_uid):
        raise _no_image()
    return image


def _as_asked(error: NotFound, scope: Scope) -> NotFound:
    """A namespace that stands for an AE title is no part of the question: nothing has been stored there."""
    return (
        NotFound("study") if error.kind == "namespace" and "namespace" not in scope["path_params"] else error
    )


def _no_image() -> NotFound:
    return NotFound("image", "Image wasn't found by provided ids.")


def base_url(scope: Scope) -> str:
    """The address under which the caller has reached this family, for the URLs an answer names."""
    return url_of(scope, next(base for base in BASES if _fits(base, scope["path"])))


def here(scope: Scope) -> str:
    """The address that has been asked for, without its query."""
    return origin_of(scope) + quote(scope["path"])


def url_of(scope: Scope, base: str) -> str:
    """The address of one of the bases, of the AE title or namespace the caller has named."""
    for name in ("aet", "namespace"):
        base = base.replace("{" + name + "}", scope["path_params"].get(name, ""))
    return origin_of(scope) + base


def _fits(base: str, path: str) -> bool:
    return path.startswith(base.partition("{")[0]) if base else True
