"""Associations of ours over TLS: whom they trust, what is said where that does not fit, how it is written."""

from __future__ import annotations

import io
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from core.dicom.stored_object import read_object
from core.errors import BadInput, KnownError
from core.imaging.recoder import Recoder
from core.media.attached import encapsulate
from core.media.samples import SampleStudy, ct_slice, part10
from core.net.dimse.node import Node, options, parse_node
from core.net.tls import Tls, Untrusted
from core.settings import DimsePeer, DimseSettings, Settings, load, save
from core.upload.destination import Destination
from core.upload.destinations import Found, Means, connect
from core.upload.ledger import Ledger
from core.upload.saved import Destinations, SavedDestination
from core.upload.target import WrongDestination, parse
from server.dimse.door import Door, Where
from server.dimse.fetching import Fetch
from tests.app.serving import Certificate, certificate
from tests.core.archive_help import store
from tests.core.upload_fakes import Desk
from tests.dimse.gateways import AET, Running, gateway
from tests.dimse.test_retrieve import move

STUDY = SampleStudy("tls ours")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    found = certificate(tmp_path_factory.mktemp("cert"))
    if found is None:
        pytest.skip("openssl makes no certificate here")
    return found


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For another machine's name."""
    folder = tmp_path_factory.mktemp("other")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    line = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=pacs.example",
    ]
    subprocess.run([*line, "-out", made.path, "-keyout", made.key], check=True, capture_output=True)
    return made


def server_context(made: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.path, made.key)
    return context


@pytest.fixture(scope="module")
def secure(made: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    titles = {"DEST": "default", "OPEN": "default"}
    with gateway(tmp_path_factory.mktemp("tls"), ae_titles=titles, tls=server_context(made)) as running:
        yield running


def opened(port: int, tls: Tls | None) -> Destination:
    text = f"dimse:{Node(AET, '127.0.0.1', port, tls)}"
    means = Means(lambda: ("", None), encapsulate, Recoder())
    return connect(Found("Big PACS", parse(text)), "default", means)


def said(port: int, tls: Tls | None) -> str:
    """What the test button would say."""
    with closing(opened(port, tls)) as destination:
        try:
            return destination.test()
        except KnownError as error:
            assert error.remedy
            return f"{type(error).__name__}: {error.message}"


def test_the_certificate_is_checked_as_it_was_chosen(
    secure: Running, made: Certificate, other: Certificate, tmp_path: Path
) -> None:
    port, where = secure.port, f"127.0.0.1:{secure.port}"
    good = f"{AET} at {where} answers C-ECHO over TLS."
    assert said(port, Tls(ca=str(made.path))) == good
    assert said(port, Tls(pin=str(made.path))) == good
    both = tmp_path / "both.pem"
    both.write_text(f"one\n{other.path.read_text()}\ntwo\n{made.path.read_text()}")
    assert said(port, Tls(pin=str(both))) == good
    nobody = f"Untrusted: The certificate of {where} is signed by nobody who is trusted here."
    assert [said(port, Tls()), said(port, Tls(ca=str(other.path))), said(port, Tls(pin=str(other.path)))] == (
        [nobody] * 3
    )
    no_pem = tmp_path / "no.pem"
    no_pem.write_text("nothing")
    for files in (Tls(ca=str(no_pem)), Tls(pin=str(tmp_path / "none")), Tls(str(made.path), "", str(no_pem))):
        assert said(port, files).startswith("BadInput: The certificate")
    assert said(port, None).startswith("LinkLost: ")  # it is there, but does not answer as a DICOM node


def test_a_certificate_for_another_name_is_good_if_chosen(other: Certificate, tmp_path: Path) -> None:
    with gateway(tmp_path, tls=server_context(other)) as running:
        where = f"127.0.0.1:{running.port}"
        wrong = f"Untrusted: The certificate of {where} is made out for another name than 127.0.0.1."
        assert said(running.port, Tls(ca=str(other.path))) == wrong
        assert said(running.port, Tls(pin=str(other.path))) == f"{AET} at {where} answers C-ECHO over TLS."


def test_a_certificate_that_the_chosen_one_signed_is_not_the_chosen_one(
    made: Certificate, tmp_path: Path
) -> None:
    signed = Certificate(tmp_path / "leaf.pem", tmp_path / "leaf.key")
    line = [
        "openssl",
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-keyout",
        str(signed.key),
    ]
    asked = subprocess.run(line, check=True, capture_output=True).stdout
    names = tmp_path / "names"
    names.write_text("subjectAltName=IP:127.0.0.1")
    sign = ["openssl", "x509", "-req", "-days", "2", "-CA", str(made.path), "-CAkey", str(made.key),
            "-CAcreateserial", "-extfile", str(names), "-out", str(signed.path)]  # fmt: skip
    subprocess.run(sign, input=asked, check=True, capture_output=True)
    with gateway(tmp_path / "data", tls=server_context(signed)) as running:
        where = f"127.0.0.1:{running.port}"
        assert said(running.port, Tls(ca=str(made.path))).endswith("answers C-ECHO over TLS.")
        assert said(running.port, Tls(pin=str(made.path))) == (
            f"Untrusted: {where} shows another certificate than the one that was chosen."
        )


def test_a_port_without_tls_is_told_apart(tmp_path: Path, made: Certificate) -> None:
    with gateway(tmp_path) as running:
        assert said(running.port, Tls(pin=str(made.path))) == (
            f"Unreachable: 127.0.0.1:{running.port} does not speak TLS, or none that is safe."
        )


def test_an_upload_over_tls_ends_at_once_where_nobody_is_trusted(
    secure: Running, made: Certificate, tmp_path: Path
) -> None:
    disc = Desk(tmp_path)
    with pytest.raises(Untrusted):
        disc.upload(opened(secure.port, Tls()))  # type: ignore[arg-type]  # any destination will do
    disc.close()
    ds = ct_slice(STUDY, size=64)
    data = part10(ds)
    with closing(opened(secure.port, Tls(pin=str(made.path)))) as there:
        header = read_object(io.BytesIO(data), len(data)).header
        there.send(header, io.BytesIO(data), len(data))
        assert there.held(STUDY.uid, [header.sop_instance_uid]) == {header.sop_instance_uid: ""}
    assert list(secure.archive.held("default", STUDY.uid)) == [str(ds.SOPInstanceUID)]


def test_moving_and_fetching_over_tls(secure: Running, made: Certificate, tmp_path: Path) -> None:
    """C-MOVE to a peer of the settings file that is encrypted; a retrieval from one."""
    study = SampleStudy("tls moved")
    tls = {"tls": True, "tls_pin": str(made.path)}
    peers = (DimsePeer("DEST", "127.0.0.1", secure.port, **tls), DimsePeer("OPEN", "127.0.0.1", secure.port))
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study.uid
    with gateway(tmp_path / "here", peers=peers) as here:
        store(here.archive, ct_slice(study, size=64))
        assert move(here, "OPEN", asked)[0].NumberOfFailedSuboperations == 1
        status, _ = move(here, "DEST", asked)
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0, 1)
        assert len(secure.archive.held("default", study.uid)) == 1
    with gateway(tmp_path / "fetched", ae_titles={"OURS": "default"}) as ours:
        door = Door("OURS")
        door.open(Where("127.0.0.1", ours.port, tls=False, known_only=False), ours.admission)
        peer = Node(AET, "127.0.0.1", secure.port, Tls(pin=str(made.path))).peer("OURS")
        fetch = Fetch(ours.archive, door, peer, "default", heard=lambda _: None, stopped=lambda: False)
        assert fetch.run(study.uid).progress.here == 1


def test_the_text_of_a_node(tmp_path: Path) -> None:
    for node in (
        Node("PACS", "host", 104),
        Node("A@B", "[::1]", 11112, Tls()),
        Node("PACS", "h", 2762, Tls(ca="/etc/a b&c=d.pem")),
        Node("PACS", "h", 2762, Tls(pin="/etc/a@b:1.pem", certificate="/c.pem", key="/k.pem")),
    ):
        assert parse_node(str(node)) == node and str(parse(f"dimse:{node}")) == f"dimse:{node}"
    assert str(Node("P", "h", 1, Tls(ca="/a b"))) == "P@h:1?tls&ca=/a%20b"
    relative = parse_node("P@h:1?tls&ca=x.pem").tls
    assert options(None) == "" and relative is not None and Path(relative.ca).is_absolute()
    for wrong in (
        *("?", "?on", "?tls&", "?tls&ca", "?tls&ca=", "?tls&who=/x", "?tls&ca=/a&pin=/b", "?tls&key=/k"),
        "?tls&ca=/a&ca=/b",
    ):
        with pytest.raises(WrongDestination, match="does not say how"):
            parse(f"dimse:P@h:1{wrong}")
    with Ledger(tmp_path / "client.db") as ledger:
        saved = Destinations(ledger.database)
        saved.save(SavedDestination("PACS", "dimse:P@h:2762?tls&pin=/x/cert.pem"))
        assert parse(saved.find("PACS").spec).address == "P@h:2762?tls&pin=/x/cert.pem"


def test_the_settings_file_says_it_of_peers(tmp_path: Path) -> None:
    peer = DimsePeer(
        "PACS", "host", 2762, tls=True, tls_ca="/ca.pem", tls_certificate="/c.pem", tls_key="/k.pem"
    )
    save(tmp_path, Settings(dimse=DimseSettings(peers=(peer,))))
    assert load(tmp_path, {}).dimse.peers == (peer,)
    for wrong in ('tls_ca = "/a"', 'tls = true\ntls_ca = "/a"\ntls_pin = "/b"', 'tls = true\ntls_key = "/k"'):
        (tmp_path / "settings.toml").write_text(f'[[dimse.peers]]\nae_title = "P"\n{wrong}\n')
        with pytest.raises(BadInput, match="The peer P in"):
            load(tmp_path, {})
