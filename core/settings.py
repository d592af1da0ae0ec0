"""Settings of one data folder: `settings.toml`, and the environment variables that win over it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from core.errors import BadInput, StorageFault

FILE = "settings.toml"
MAX_PORT = 65535
AE_TITLE = re.compile(r"(?=.*[^ ])[\x20-\x5b\x5d-\x7e]{1,16}")  # PS3.5 section 6.2, VR AE


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Defaults of `filmjacket serve`; a command-line option wins. *dimse_port* -1 means off."""

    host: str = "127.0.0.1"
    port: int = 8500
    internal_port: int = 9080
    dimse_port: int = 11112
    ae_title: str = "FILMJACKET"
    trash_days: int = 7
    settle_after_s: float = 3.0
    viewer_token_s: float = 300.0
    viewer_token_once: bool = True
    """How long a token of the DICOM Service opens the viewer, and whether once only."""
    allowed_hosts: tuple[str, ...] = ()
    """Names people reach it by, beside its own (a reverse proxy's, for example)."""
    notify_hosts: tuple[str, ...] = ()
    """Hosts outside of loopback and private networks that may be notified."""
    cors_origins: tuple[str, ...] = ()
    """Origins of pages (scheme://host[:port]) whose scripts may use DICOMweb here, with credentials."""
    strict_queries: bool = False
    """Whether a search by a key that is not supported is refused; else the key is ignored, with a warning."""


@dataclass(frozen=True, slots=True)
class DimsePeer:
    """A DICOM application that may associate with us, and where C-MOVE and commitment find it.

    *ae_title* "*" is any; *called*, the title of ours it must call by, and *host*, the address, network
    (192.0.2.0/24) or name it must come from, are any when empty. *port* 0: it takes no associations of ours.
    *tls*: those are encrypted; the rest are PEM files, as in `core.net.tls.Tls`.
    """

    ae_title: str
    host: str = ""
    port: int = 0
    called: str = ""
    tls: bool = False
    tls_ca: str = ""
    tls_pin: str = ""
    tls_certificate: str = ""
    tls_key: str = ""


@dataclass(frozen=True, slots=True)
class DimseSettings:
    """The DICOM network door. *host* "" is that of HTTP.

    *accept* says who may associate: "known" peers only, "any", or "auto", which is any on a loopback address
    and known ones elsewhere. *tls*: with the certificate of HTTP; *tls_ca*: peers must show a certificate
    that one of this PEM file has signed.
    """

    host: str = ""
    accept: str = "auto"
    peers: tuple[DimsePeer, ...] = ()
    tls: bool = False
    tls_ca: str = ""
    max_associations: int = 100
    pdu_bytes: int = 128 << 10
    idle_s: float = 300.0
    stall_s: float = 30.0
    private_sop_classes: tuple[str, ...] = ()
    private_transfer_syntaxes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DesktopSettings:
    """What the desktop remembers; *theme* is system, light or dark; port 0 is any free port."""

    theme: str = "system"
    local_archive: bool = True
    keep_running: bool = False
    port: int = 0
    internal_port: int = 0
    dimse_port: int = -1


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set for one data folder."""

    database_url: str = ""
    serve: ServeSettings = field(default_factory=ServeSettings)
    dimse: DimseSettings = field(default_factory=DimseSettings)
    desktop: DesktopSettings = field(default_factory=DesktopSettings)
    ae_titles: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    """The namespace each AE title means, or that as `namespace` and the view of it as `phi_namespace`."""
    uid_root: str = ""
    """What UIDs made for others begin with; "" for 2.25."""
    callback_urls: tuple[str, ...] = ()
    """Who is told of exams that came (the DICOM Service's callbacks)."""


Table = TypeVar("Table", ServeSettings, DimseSettings, DimsePeer, DesktopSettings)
ACCEPT = ("auto", "known", "any")
PDU_BYTES = (4 << 10, 1 << 20)
"""Least and most that may be set."""


def load(data: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of the data folder *data*; no file means the defaults. Raises BadInput, StorageFault."""
    environ = os.environ if environ is None else environ
    raw = _read(data / FILE)
    settings = Settings(
        database_url=_value("database_url", "", raw.get("database_url", "")),
        serve=_table(ServeSettings(), "serve", raw.get("serve", {})),
        dimse=_dimse(raw.get("dimse", {})),
        desktop=_table(DesktopSettings(), "desktop", raw.get("desktop", {})),
        ae_titles=_ae_titles(raw.get("ae_titles", {})),
        uid_root=_value("uid_root", "", raw.get("uid_root", "")),
        callback_urls=_value("callback_urls", (), raw.get("callback_urls", [])),
    )
    if url := environ.get("FILMJACKET_DATABASE_URL"):
        settings = replace(settings, database_url=url)
    if root := environ.get("FILMJACKET_UID_ROOT"):
        settings = replace(settings, uid_root=root)
    if urls := environ.get("CALLBACK_URLS"):
        settings = replace(settings, callback_urls=tuple(u.strip() for u in urls.split(",") if u.strip()))
    return settings


def save(data: Path, settings: Settings) -> None:
    """Write *settings* in one step, keeping keys of the file that are not known here. Raises StorageFault."""
    import tomli_w

    path = data / FILE
    raw = _read(path)
    for name, value in asdict(settings).items():
        if isinstance(value, dict):
            raw[name] = {
                **raw.get(name, {}),
                **{k: list(v) if isinstance(v, tuple) else v for k, v in value.items()},
            }
        elif value or name in raw:
            raw[name] = value
    temporary = path.with_suffix(".toml.new")
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with temporary.open("wb") as out:
            tomli_w.dump(raw, out)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageFault(
            f"The settings could not be written to {path}.", "Check the folder's permission and free space."
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no valid TOML.", "Mend or remove the file.") from error
    except OSError as error:
        raise StorageFault(f"{path} cannot be read.", "Check its permission.") from error


def _table(defaults: Table, name: str, raw: object) -> Table:
    if not isinstance(raw, dict):
        raise BadInput(f"[{name}] in {FILE} must be a table.", "Mend the file.")
    known = {f.name: getattr(defaults, f.name) for f in fields(defaults)}
    given = {key: _value(f"{name}.{key}", known[key], value) for key, value in raw.items() if key in known}
    return replace(defaults, **given)


def _dimse(raw: object) -> DimseSettings:
    peers = raw.get("peers", []) if isinstance(raw, dict) else []
    if not isinstance(peers, list):
        raise BadInput(f"[[dimse.peers]] in {FILE} must be a list of tables.", "Mend the file.")
    plain = {key: value for key, value in raw.items() if key != "peers"} if isinstance(raw, dict) else raw
    found = replace(_table(DimseSettings(), "dimse", plain), peers=tuple(map(_peer, peers)))
    if found.accept not in ACCEPT:
        raise BadInput(f"dimse.accept in {FILE} must be one of {', '.join(ACCEPT)}.", "Mend the file.")
    if not PDU_BYTES[0] <= found.pdu_bytes <= PDU_BYTES[1]:
        raise BadInput(
            f"dimse.pdu_bytes in {FILE} must be {PDU_BYTES[0]} to {PDU_BYTES[1]}.", "Mend the file."
        )
    if found.max_associations < 1 or found.idle_s <= 0 or found.stall_s <= 0:
        raise BadInput(f"The limits of [dimse] in {FILE} must be above 0.", "Mend the file.")
    return found


def _peer(raw: object) -> DimsePeer:
    found = _table(DimsePeer(""), "dimse.peers", raw)
    if found.ae_title != "*" and not AE_TITLE.fullmatch(found.ae_title):
        raise BadInput(f"A peer in {FILE} has no usable ae_title.", "Write 1 to 16 ASCII characters, or *.")
    files = (found.tls_ca, found.tls_pin, found.tls_certificate, found.tls_key)
    if any(files) and not found.tls:
        raise BadInput(
            f"The peer {found.ae_title} in {FILE} has files for TLS, but not tls = true.", "Mend the file."
        )
    if (found.tls_ca and found.tls_pin) or (found.tls_key and not found.tls_certificate):
        raise BadInput(
            f"The peer {found.ae_title} in {FILE} is not clear about TLS.",
            "Give tls_ca or tls_pin, not both, and tls_key only with tls_certificate.",
        )
    return found


def _ae_titles(raw: object) -> Mapping[str, str | Mapping[str, str]]:
    if not isinstance(raw, dict) or not all(map(_is_meaning, raw.values())):
        raise BadInput(
            f"[ae_titles] in {FILE} must name a namespace for each title.",
            'Write TITLE = "namespace", or TITLE = {namespace = "...", phi_namespace = "..."}.',
        )
    if not all(AE_TITLE.fullmatch(title) for title in raw):
        raise BadInput(f"[ae_titles] in {FILE} has a title that is none.", "Write 1 to 16 ASCII characters.")
    return raw


def _is_meaning(value: object) -> bool:
    if not isinstance(value, dict):
        return isinstance(value, str)
    return set(value) <= {"namespace", "phi_namespace"} and all(
        isinstance(each, str) for each in value.values()
    )


def _value(name: str, default: Any, value: object) -> Any:
    if name.endswith("dimse_port") and value == "off":
        return -1
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        kind = {
            str: "text",
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            tuple: "a list of texts",
        }[type(default)]
        raise BadInput(f"{name} in {FILE} must be {kind}.", "Mend the file.")
    lowest = -1 if name.endswith("dimse_port") else 0
    if name.endswith("port") and isinstance(value, int) and not lowest <= value <= MAX_PORT:
        raise BadInput(f"{name} in {FILE} must be a port, 0 to {MAX_PORT}.", "Mend the file.")
    return value
