"""One session of the V3 vendor's own client, run by a Python of its own; says as JSON what it was given.

Arguments: address, login, password, DICOM file, PDF file.
"""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from ambra_sdk.api import Api
from ambra_sdk.exceptions.storage import StudyNotFound
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
    "deleted": study.delete(**whole).status_code,
}
try:
    study.schema(**whole)
    said["gone"] = False
except StudyNotFound:
    said["gone"] = True
json.dump(said, sys.stdout)
