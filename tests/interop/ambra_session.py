"""One session of the V3 vendor's own client, run by a Python of its own; says as JSON what it was given.

Arguments: address, login, password, DICOM file, PDF file.
"""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from ambra_sdk.api import Api
from ambra_sdk.exceptions.storage import NotPdfFile, NotVideoInImage, StudyNotFound
from ambra_sdk.storage.storage import Storage

url, login, password, dicom, pdf = sys.argv[1:]
host = urlsplit(url).netloc
Storage.STORAGE_BASE_URL = "http://{engine_fqdn}/api/v3/storage"  # the client speaks TLS only, by a constant
api = Api.with_creds(f"{url}/api/v3", login, password)
study, image = api.Storage.Study, api.Storage.Image

with open(dicom, "rb") as data:
    stored = image.upload(engine_fqdn=host, namespace="default", opened_file=data)
whole = {"engine_fqdn": host, "namespace": "default", "study_uid": stored.study_uid}
one = {**whole, "image_uid": stored.image_uid, "image_version": stored.image_version}
with open(pdf, "rb") as data:
    attached = study.post_attachment(**whole, opened_file=("report.pdf", data, "application/pdf"))
attachment = attached.json() if hasattr(attached, "json") else dict(attached)
schema = study.schema(**whole)


def refused(method, error):
    try:
        method(**one)
    except error:
        return True
    return False


def wrapped():
    with open(pdf, "rb") as data:
        return image.wrap(
            engine_fqdn=host, namespace="default", opened_file=data, render_wrapped_pdf=True
        ).status_code


def in_parts():
    upload = image.multipart_initiate(engine_fqdn=host)["upload_uuid"]
    data, size = Path(dicom).read_bytes(), 10_000
    for number, at in enumerate(range(0, len(data), size)):
        image.multipart_chunk_upload(
            engine_fqdn=host, upload_uuid=upload, bytes_part=data[at : at + size], chunk_number=number
        )
    return image.multipart_complete(
        engine_fqdn=host, namespace="default", upload_uuid=upload, file_size=len(data)
    ).status_code


said = {
    "sid": bool(api.sid),
    "stored": dict(stored),
    "series": [[i.id for i in series.images] for series in schema.series],
    "study_phi": {attr.tag: attr.value for attr in study.phi(**whole).attr},
    "image_phi": {attr.tag: attr.value for attr in study.image_phi(**one).attr},
    "image_count": study.tag(**whole).image_count,
    "thumbnail": study.thumbnail(**one, frame_number=0).content[:2].hex(),
    "frame": study.frame(**one, frame_number=0).content[:2].hex(),
    "same_bytes": image.dicom_payload(**one).content == Path(dicom).read_bytes(),
    "same_pdf": study.attachment(
        **whole, attachment_id=attachment["attachment_guid"], version=attachment["attachment_version"]
    ).content
    == Path(pdf).read_bytes(),
    "latest_pdf": study.latest(**whole).content == Path(pdf).read_bytes(),
    "count": study.count(**whole).image_count,
    "json": study.image_json(**one).tag_by_name("Manufacturer").value,
    "study_json": len(study.json(**whole)),
    "attribute": len(study.attribute(**one, groups="8,0x10").tags) > 10,
    "diagnostic": study.diagnostic(**one, frame_number=0).content[:4].hex(),
    "tiff": study.frame_tiff(**one, frame_number=0, depth=16).content[:4].hex(),
    "dicomweb": [
        study.image_dicomweb(
            **whole, series_uid=schema.series[0].series_uid, image_uid=stored.image_uid, use_box=False
        ).json()["00080018"]["Value"],
        len(study.study_dicomweb(**whole, use_box=False).json()),
    ],
    "cadsr": image.cadsr(**one).json(),
    "refused": [refused(study.pdf, NotPdfFile), refused(study.video, NotVideoInImage)],
    "medium": study.download(**whole, bundle="dicom", include_wrapped_dicoms=True, exclude_viewer=False)
    .content[:4]
    .hex(),
    "recoded": len(image.dicom_payload(**one, transfer_syntax="1.2.840.10008.1.2.5").content) > 1000,
    "wrapped": wrapped(),
    "in_parts": in_parts(),
    "as_images": study.attachment_image(
        **whole, attachment_uid=attachment["attachment_guid"], version=attachment["attachment_version"]
    ).study_uid,
    "detached": study.delete_attachment(
        **whole, attachment_id=attachment["attachment_guid"], hash_arg=attachment["attachment_version"]
    ).status_code,
    "cache": study.cache(**whole).status_code,
    "image_deleted": study.delete_image(**whole, image_uid=stored.image_uid).status_code,
    "images_left": study.count(**whole).image_count,
    "rt": study.create_rt(
        **whole, body=json.dumps({"StructureSetROISequence": [{"ROINumber": 1}]})
    ).image_uid,
    "deleted": study.delete(**whole).status_code,
}
try:
    study.schema(**whole)
    said["gone"] = False
except StudyNotFound:
    said["gone"] = True
json.dump(said, sys.stdout)
