"""AE titles and the namespace each of them means: where a door that knows no namespaces stores and looks."""

from __future__ import annotations

from collections.abc import Mapping

from core.archive.store import check_namespace
from core.errors import NotFound

DEFAULT_NAMESPACE = "default"
ALWAYS = ("FILMJACKET", "DCM4CHEE")


class AeTitles:
    """The archive's own title, those that always mean the default namespace, and those that were set."""

    def __init__(self, own: str, given: Mapping[str, str] | None = None) -> None:
        self._namespaces = dict.fromkeys((*ALWAYS, own), DEFAULT_NAMESPACE)
        for title, namespace in (given or {}).items():
            self._namespaces[title] = check_namespace(namespace)

    def namespace(self, ae_title: str) -> str:
        """What *ae_title* means. Raises NotFound."""
        try:
            return self._namespaces[ae_title.strip()]
        except KeyError:
            raise NotFound("AE title", "This archive has no such AE title.") from None
