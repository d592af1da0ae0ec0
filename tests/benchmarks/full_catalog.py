"""A catalog as full as a clinic's after years: rows the archive's own code writes, without their blobs."""

from __future__ import annotations

import time
from hashlib import sha256

from sqlalchemy import Connection, update

from core.archive.archive import Archive
from core.archive.arrival import Arrival
from core.archive.blobs import Blob
from core.archive.homes import Placing
from core.archive.nouns import Routing
from core.archive.phi import phi_set
from core.archive.schema import studies
from core.archive.together import Together
from core.dicom.refs import Header
from core.media.samples import UID_ROOT

IMAGES_A_STUDY = 250
AT_ONCE = 1000
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def placing(number: int, a_study: int = IMAGES_A_STUDY) -> Placing:
    """Image *number* of the archive: *a_study* a study, 125 a series at most, three studies a patient."""
    study, place = divmod(number, a_study)
    series = place // 125
    header = Header(
        CT,
        f"{UID_ROOT}7.{study}.{series}.{place}",
        f"{UID_ROOT}7.{study}",
        f"{UID_ROOT}7.{study}.{series}",
        EXPLICIT,
        patient_name=f"Family{study // 3 % 5000}^Given{study // 3}",
        patient_id=f"ID{study // 3:07}",
        patient_birth_date=f"19{study % 80 + 10}0{study % 9 + 1}01",
        study_date=f"20{study % 24:02}0{study % 9 + 1}1{study % 10}",
        accession_number=f"A{study}",
        modality="CT",
        series_number=series + 1,
        instance_number=place + 1,
        rows=512,
        columns=512,
    )
    tags = {
        "(0008,0050)": header.accession_number,
        "(0010,0010)": header.patient_name,
        "(0010,0020)": header.patient_id,
    }
    arrival = Arrival(header, tags, phi_set(tags), "0.00,0.00,1.00", float(place))
    version = sha256(str(number).encode()).hexdigest()[:27]
    blob = Blob(f"{version[:2]}/00000000-0000-0000-0000-{number:012}", version, 525_000)
    return Placing("default", arrival, blob, "api", Routing())


def fill(archive: Archive, count: int, a_study: int = IMAGES_A_STUDY) -> float:
    """Put *count* images into the catalog, *a_study* a study, all settled; the seconds it took."""
    began = time.perf_counter()
    together = Together(lambda key: None)

    def write(connection: Connection, start: int) -> None:
        together.place(connection, [placing(n, a_study) for n in range(start, min(start + AT_ONCE, count))])
        settled = studies.c.settled.is_(False)
        connection.execute(update(studies).where(settled).values(settled=True))

    for start in range(0, count, AT_ONCE):
        archive.db.write(lambda connection, start=start: write(connection, start)).result()  # type: ignore[misc]  # mypy takes no default in a lambda
    return time.perf_counter() - began
