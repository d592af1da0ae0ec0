"""Saved destinations: documents of `client.db` with name, address and login; passwords in the keyring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from tinydb import Query

from core.db.database import Database
from core.documents import Documents
from core.errors import BadInput, KnownError, NotFound
from core.upload.target import check_namespace, is_spec, parse, place

SERVICE = "Filmjacket"
LONGEST_NAME = 64
NO_KEYRING = "Set FILMJACKET_LOGIN and FILMJACKET_PASSWORD for the program, or set up a keyring."


@dataclass(frozen=True, slots=True)
class SavedDestination:
    """One saved destination; *spec* is a DEST form, *login* "" = none needed."""

    name: str
    spec: str
    login: str = ""
    namespace: str = "default"


class Secrets(Protocol):
    """Where passwords are kept. Every method raises KnownError when that place does not work."""

    def get(self, key: str, login: str) -> str | None: ...
    def set(self, key: str, login: str, password: str) -> None: ...
    def delete(self, key: str, login: str) -> None: ...


class KeyringSecrets:
    """The system's keyring: Keychain, Credential Manager or Secret Service."""

    def get(self, key: str, login: str) -> str | None:
        """The password, None if none is kept."""
        import keyring
        from keyring.errors import KeyringError, NoKeyringError

        try:
            return keyring.get_password(f"{SERVICE} {key}", login)
        except NoKeyringError:
            return None
        except KeyringError as error:
            raise _no_keyring() from error

    def set(self, key: str, login: str, password: str) -> None:
        """Keep the password."""
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(f"{SERVICE} {key}", login, password)
        except KeyringError as error:
            raise _no_keyring() from error

    def delete(self, key: str, login: str) -> None:
        """Forget the password, if it is kept."""
        import keyring
        from keyring.errors import KeyringError, NoKeyringError, PasswordDeleteError

        try:
            keyring.delete_password(f"{SERVICE} {key}", login)
        except (NoKeyringError, PasswordDeleteError):
            return
        except KeyringError as error:
            raise _no_keyring() from error


class Destinations:
    """The saved destinations of one data folder."""

    def __init__(self, db: Database, secrets: Secrets | None = None) -> None:
        self._table = Documents(db).table("destinations")
        self._secrets = secrets or KeyringSecrets()

    def all(self) -> list[SavedDestination]:
        """By name."""
        return sorted(map(_destination, self._table.all()), key=lambda each: each.name.lower())

    def find(self, name: str) -> SavedDestination:
        """The one with this name, upper and lower case alike. Raises NotFound."""
        found = self._table.get(Query().key == _key(name))
        if not isinstance(found, Mapping):
            raise NotFound(
                "destination",
                f"No destination named {name!r} is saved.",
                "Write v3:http://HOST:PORT or archive, or save it in the settings first.",
            )
        return _destination(found)

    def save(self, destination: SavedDestination, password: str | None = None) -> None:
        """Add it, or change the one of that name; *password* None leaves what the keyring has."""
        name = destination.name.strip()
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or ":" in name or is_spec(name):
            raise BadInput("This name cannot be used.", "Choose up to 64 letters without a colon.")
        spec = str(parse(destination.spec))
        check_namespace(destination.namespace)
        if password is not None and destination.login:
            self._secrets.set(place(spec), destination.login, password)
        document = {**asdict(destination), "name": name, "spec": spec, "key": _key(name)}
        self._table.upsert(document, Query().key == _key(name))

    def remove(self, name: str) -> None:
        """Forget it, and its password if no other destination uses it. Raises NotFound."""
        gone = self.find(name)
        self._table.remove(Query().key == _key(name))
        account = (place(gone.spec), gone.login)
        if gone.login and account not in {(place(d.spec), d.login) for d in self.all()}:
            self._secrets.delete(*account)

    def password(self, destination: SavedDestination) -> str | None:
        """Its password from the keyring, None if there is none."""
        return self._secrets.get(place(destination.spec), destination.login) if destination.login else None


def _key(name: str) -> str:
    return name.strip().casefold()


def _destination(document: Mapping[str, Any]) -> SavedDestination:
    return SavedDestination(document["name"], document["spec"], document["login"], document["namespace"])


def _no_keyring() -> KnownError:
    return KnownError("The system's keyring does not work here; the password was not kept.", NO_KEYRING)
