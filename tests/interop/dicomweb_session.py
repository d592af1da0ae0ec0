"""One session of the Python package dicomweb-client, run by a Python of its own; says as JSON what it got.

Arguments: address of the DICOMweb service, folder of DICOM files: CT slices, a loop and a PDF of one study.
"""

import json
import sys
from io import BytesIO
from pathlib import Path

from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from requests.exceptions import HTTPError

url, folder = sys.argv[1:]
client = DICOMwebClient(url, chunk_size=100_000)
files = sorted(Path(folder).glob("*.dcm"))
sets = {path.stem: dcmread(path) for path in files}
ct, loop, pdf = (next(ds for ds in sets.values() if ds.Modality == kind) for kind in ("CT", "US", "DOC"))
study = ct.StudyInstanceUID


def uids(ds):
    return ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID


def written(ds):
    stream = BytesIO()
    ds.save_as(stream)
    return stream.getvalue()


def refused(work):
    try:
        work()
    except HTTPError as error:
        return error.response.status_code
    return 0


whole = client.store_instances(list(sets.values()))
again = client.store_instances([ct], study_instance_uid=study)
found = client.search_for_studies(
    search_filters={"PatientID": ct.PatientID, "StudyDate": ct.StudyDate},
    fields=["StudyDescription"],
    limit=5,
)
got = list(client.iter_study(study, media_types=(("application/dicom", "*"),)))
bulk = client.retrieve_instance_metadata(*uids(pdf))["00420011"]["BulkDataURI"]
metadata = client.retrieve_study_metadata(study)
frames = client.retrieve_instance_frames(*uids(loop), [1, 12])
said = {
    "stored": [
        len(whole.ReferencedSOPSequence),
        "FailedSOPSequence" in whole,
        len(again.ReferencedSOPSequence),
    ],
    "retrieve_url": whole.ReferencedSOPSequence[0].RetrieveURL,
    "found": [[ds["0020000D"]["Value"][0], ds["00081030"]["Value"][0]] for ds in found],
    "nothing": client.search_for_studies(search_filters={"PatientID": "nobody has this"}),
    "fuzzy": len(
        client.search_for_studies(fuzzymatching=True, search_filters={"PatientName": "kanarienvogl"})
    ),
    "all_of_them": len(client.search_for_instances(study, limit=2, get_remaining=True)),
    "series": sorted(ds["00080060"]["Value"][0] for ds in client.search_for_series(study)),
    "instances": len(client.search_for_instances(study, ct.SeriesInstanceUID)),
    "everywhere": len(client.search_for_instances(search_filters={"SOPInstanceUID": ct.SOPInstanceUID})),
    "same_bytes": sorted(written(ds) for ds in got) == sorted(path.read_bytes() for path in files),
    "one": written(client.retrieve_instance(*uids(ct))) == written(ct),
    "a_series": len(client.retrieve_series(*uids(ct)[:2])),
    "metadata": len(metadata),
    "series_metadata": len(client.retrieve_series_metadata(*uids(ct)[:2])),
    "frames": b"".join(frames) == loop.PixelData[: len(frames[0])] + loop.PixelData[-len(frames[1]) :],
    "frame_sizes": [len(frame) for frame in frames],
    "iterated": len(list(client.iter_instance_frames(*uids(loop), [1, 2, 3]))),
    "octets": client.retrieve_instance_frames(*uids(ct), [1], media_types=("application/octet-stream",))[0]
    == ct.PixelData,
    "rendered": client.retrieve_instance_rendered(*uids(ct), media_types=("image/jpeg",))[:2].hex(),
    "png": client.retrieve_instance_rendered(
        *uids(ct), media_types=("image/png",), params={"viewport": "16,16", "window": "40,400,linear"}
    )[:4].hex(),
    "series_rendered": client.retrieve_series_rendered(*uids(ct)[:2], media_types=("image/jpeg",))[:2].hex(),
    "frame_rendered": client.retrieve_instance_frames_rendered(*uids(loop), [3], media_types=("image/jpeg",))[
        :2
    ].hex(),
    "pdf": client.retrieve_instance_rendered(*uids(pdf), media_types=("application/pdf",))[:5].decode(),
    "bulk": client.retrieve_bulkdata(bulk)[0][:5].decode(),
    "range": client.retrieve_bulkdata(bulk, byte_range=(0, 4))[0].decode(),
    "missing": refused(lambda: client.retrieve_study("1.2.3.4")),
}
client.delete_instance(*uids(ct))
said["after_one"] = len(client.search_for_instances(study))
client.delete_series(*uids(loop)[:2])
said["after_series"] = len(client.search_for_instances(study))
client.delete_study(study)
said["gone"] = client.search_for_studies(search_filters={"StudyInstanceUID": study})
print(json.dumps(said))
