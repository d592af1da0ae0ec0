"""An upload by the V3 vendor's own client, over TLS and nothing changed; says as JSON what came of it.

Arguments: address, login, password, folder with the DICOM files of one study.
"""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from ambra_sdk.addon.dicom import Dicom
from ambra_sdk.api import Api
from ambra_sdk.exceptions.service import AlreadyExists, NotFound
from ambra_sdk.models import Study
from ambra_sdk.service.filtering import Filter, FilterCondition
from ambra_sdk.service.sorting import Sorter, SortingOrder

url, login, password, folder = sys.argv[1:]
api = Api.with_creds(f"{url}/api/v3", login, password)
addon = api.Addon.Study
study = addon.upload_dir_and_get(study_dir=Path(folder), namespace_id="clinic", timeout=60)
try:
    addon.upload_dir(study_dir=Path(folder), namespace_id="clinic")
    again = ""
except AlreadyExists as error:
    again = error.error_subtype
Dicom.CHUNK_UPLOAD_THRESHOLD, Dicom.CHUNK_SIZE = 1000, 10_000  # it sends larger files in parts
paths = sorted(Path(folder).glob("*.dcm"))
for path in paths:
    api.Addon.Dicom.upload_from_path(dicom_path=path, namespace_id="elsewhere")
elsewhere = addon.wait(study_uid=study.study_uid, namespace_id="elsewhere", timeout=60, ws_timeout=5)
whole = {"engine_fqdn": study.engine_fqdn, "namespace": "clinic", "study_uid": study.study_uid}
copy = addon.anonymize_and_get(**whole, region={}, timeout=60)
newest = api.Study.list().sort_by(Sorter("created", SortingOrder.descending))
mine = Filter("storage_namespace", FilterCondition.equals, "clinic")
said = {
    "host": study.engine_fqdn == urlsplit(url).netloc,
    "study": dict(study),
    "again": again == study.uuid,
    "elsewhere": dict(elsewhere),
    "copy": dict(copy),
    "listed": [row.study_uid for row in newest.filter_by(mine).all()],
    "only": dict(api.Study.get(uuid=study.uuid).only([Study.study_uid, Study.phantom]).get()),
    "schema": len(api.Storage.Study.schema(**whole).series[0].images),
    "pydicom": str(
        api.Addon.Dicom.get(
            namespace_id="clinic",
            study_uid=study.study_uid,
            image_uid=api.Storage.Study.schema(**whole).series[0].images[0].id,
        ).PatientName
    ),
}
api.Study.delete(uuid=copy.uuid).get()
try:
    api.Study.get(uuid=copy.uuid).get()
    said["gone"] = False
except NotFound:
    said["gone"] = True
api.logout()
json.dump(said, sys.stdout)
