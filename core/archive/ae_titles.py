"""AE titles: the namespace each of them means to a door that knows none, and the view it has of it."""

from __future__ import annotations

from collections.abc import Mapping

from core.archive.store import check_namespace
from core.errors import NotFound

DEFAULT_NAMESPACE = "default"
Meaning = str | Mapping[str, str]
ALWAYS = ("FILMJACKET", "DCM4CHEE")


class AeTitles:
    """The archive's own title, those that always mean the default namespace, and those that were set."""

    def __init__(self, own: str, given: Mapping[str, Meaning] | None = None) -> None:
        """*given* are namespaces, or what `namespace` and `phi_namespace` are. Raises BadInput."""
        self._namespaces = dict.fromkeys((*ALWAYS, own), DEFAULT_NAMESPACE)
        self._views: dict[str, str] = {}
        for title, meaning in (given or {}).items():
            said = {"namespace": meaning} if isinstance(meaning, str) else meaning
            self._namespaces[title] = check_namespace(said.get("namespace", DEFAULT_NAMESPACE))
            if view := said.get("phi_namespace"):
                self._views[title] = check_namespace(view)

    def namespace(self, ae_title: str) -> str:
        """What *ae_title* means. Raises NotFound."""
        try:
            return self._namespaces[ae_title.strip()]
        except KeyError:
            raise NotFound("AE title", "This archive has no such AE title.") from None

    def view(self, ae_title: str) -> str | None:
        """The PHI namespace through which it sees what is stored, None for as it is stored."""
        return self._views.get(ae_title.strip())
