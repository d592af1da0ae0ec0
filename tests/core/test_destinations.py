"""DEST in all its forms, and destinations saved with their passwords elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import PasswordDeleteError

from core.errors import BadInput, KnownError, NotFound
from core.imaging.recoder import Recoder
from core.media.attached import encapsulate
from core.net.credentials import Credentials, Token
from core.upload.destinations import Found, Means, connect, find, from_environment
from core.upload.ledger import Ledger
from core.upload.picks import RemoteArchive
from core.upload.remote_files import find_remote
from core.upload.saved import Destinations, SavedDestination
from core.upload.target import Target, TargetKind, WrongDestination, check_namespace, is_spec, parse
from core.upload.v3 import V3Destination

CLINIC = SavedDestination("Clinic", "v3:http://pacs:8500", "anna", "radiology")


class MemoryKeyring(KeyringBackend):
    """A keyring of the test's own."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the library's
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    earlier, ring = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(earlier)


@pytest.fixture
def no_ring() -> Iterator[None]:
    earlier = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call] # the library's
    yield
    keyring.set_keyring(earlier)


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Destinations]:
    with Ledger(tmp_path / "client.db") as ledger:
        yield Destinations(ledger.database)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("v3:http://host:8500", Target(TargetKind.V3, "http://host:8500")),
        (" V3:https://host/ ", Target(TargetKind.V3, "https://host:443")),
        ("stow:http://host/dicom-web/", Target(TargetKind.STOW, "http://host:80/dicom-web")),
        ("exams:http://host:8500", Target(TargetKind.EXAMS, "http://host:8500")),
        ("archive", Target(TargetKind.ARCHIVE)),
    ],
)
def test_forms_that_work(text: str, target: Target) -> None:
    assert is_spec(text) and parse(text) == target and parse(str(target)) == target


@pytest.mark.parametrize(
    "text",
    ["share:https://h/share/x"],
)
def test_forms_of_a_later_version_say_so(text: str) -> None:
    with pytest.raises(WrongDestination, match="in this version") as caught:
        parse(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["", "v3", "v3:", "v3:host:1", "v3:http://u:p@h", "archive:x", "http://h", "x"]
)
def test_what_is_no_destination(text: str) -> None:
    with pytest.raises(WrongDestination):
        parse(text)


@pytest.mark.parametrize("name", ["default", "a", "_x.-9", "A" * 64])
def test_namespaces(name: str) -> None:
    assert check_namespace(name) == name


@pytest.mark.parametrize("name", ["", ".a", "a b", "ä", "a/b", "A" * 65])
def test_what_is_no_namespace(name: str) -> None:
    with pytest.raises(WrongDestination):
        check_namespace(name)


def test_saved_changed_and_removed(saved: Destinations, ring: MemoryKeyring, tmp_path: Path) -> None:
    saved.save(CLINIC, "s3cret")
    saved.save(SavedDestination("backup", "archive"))
    assert [each.name for each in saved.all()] == ["backup", "Clinic"]
    assert saved.find("CLINIC ") == CLINIC and saved.password(CLINIC) == "s3cret"
    saved.save(SavedDestination("clinic", "v3:http://pacs:8500/", "anna"))
    assert [each.name for each in saved.all()] == ["backup", "clinic"]
    assert saved.password(saved.find("clinic")) == "s3cret"
    with closing(sqlite3.connect(tmp_path / "client.db")) as db:
        assert "s3cret" not in "".join(db.iterdump())
    saved.remove("Clinic")
    assert not ring.kept and [each.name for each in saved.all()] == ["backup"]
    with pytest.raises(NotFound):
        saved.find("clinic")


@pytest.mark.parametrize(
    "wrong",
    [
        SavedDestination("", "archive"),
        SavedDestination("a:b", "archive"),
        SavedDestination("archive", "archive"),
        SavedDestination("x" * 65, "archive"),
        SavedDestination("x", "dimse:@h:1"),
        SavedDestination("x", "v3:http://h", namespace="a b"),
    ],
)
def test_what_cannot_be_saved(saved: Destinations, wrong: SavedDestination) -> None:
    with pytest.raises(BadInput):
        saved.save(wrong)
    assert not saved.all()


def test_a_saved_destination_brings_its_credentials(saved: Destinations, ring: MemoryKeyring) -> None:
    saved.save(CLINIC, "s3cret")
    found = find("clinic", saved, {})
    assert found.access == Credentials("anna", "s3cret") and found.namespace == "radiology"
    assert found.spec == "v3:http://pacs:8500" and found.label == "Clinic"


def test_the_environment_brings_credentials(saved: Destinations) -> None:
    environ = {"FILMJACKET_LOGIN": "eva", "FILMJACKET_PASSWORD": "pw"}
    assert find("v3:http://h:1", saved, environ).access == Credentials("eva", "pw")
    assert find("archive", saved, {}).access is None
    with pytest.raises(WrongDestination, match="Only one"):
        from_environment({"FILMJACKET_LOGIN": "eva"})


@pytest.mark.usefixtures("no_ring")
def test_without_a_keyring_the_environment_helps(saved: Destinations) -> None:
    with pytest.raises(KnownError) as caught:
        saved.save(CLINIC, "s3cret")
    assert "FILMJACKET_PASSWORD" in caught.value.remedy and not saved.all()
    saved.save(CLINIC)
    with pytest.raises(KnownError, match="not in the keyring") as caught:
        find("Clinic", saved, {})
    assert "FILMJACKET_PASSWORD" in caught.value.remedy
    environ = {"FILMJACKET_LOGIN": "anna", "FILMJACKET_PASSWORD": "pw"}
    assert find("Clinic", saved, environ).access == Credentials("anna", "pw")
    saved.remove("Clinic")


def test_an_unknown_name_says_what_to_write(saved: Destinations) -> None:
    with pytest.raises(NotFound) as caught:
        find("nowhere", saved, {})
    assert "v3:http://HOST:PORT" in caught.value.remedy
    with pytest.raises(WrongDestination):
        find("ftp:somewhere", saved, {})


def test_archive_asks_for_the_local_one() -> None:
    asked: list[str] = []

    def local() -> tuple[str, Token]:
        asked.append("once")
        return "http://127.0.0.1:9", Token("t")

    destination = connect(Found("archive", parse("archive")), "default", Means(local, encapsulate, Recoder()))
    assert isinstance(destination, V3Destination) and asked == ["once"] and destination.name == "archive"
    destination.close()
    connect(
        Found("x", parse("v3:http://127.0.0.1:9")), "default", Means(local, encapsulate, Recoder())
    ).close()
    assert asked == ["once"]


def test_a_password_belongs_to_the_address_however_it_is_encrypted(
    saved: Destinations, ring: MemoryKeyring
) -> None:
    saved.save(SavedDestination("PACS", "stow:https://pacs.example/rs", "desk"), "open sesame")
    saved.save(SavedDestination("PACS", "stow:https://pacs.example/rs?ca=/ca.pem", "desk"))
    found = find("PACS", saved, {})
    assert found.access == Credentials("desk", "open sesame")
    assert found.target.address.endswith("?ca=/ca.pem")
    before = RemoteArchive("Called otherwise then", "stow:https://pacs.example:443/rs")
    assert find_remote(before, saved, {}) == found
    saved.remove("PACS")
    assert not ring.kept
