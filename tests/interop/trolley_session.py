"""One session of the package dicomtrolley, run by a Python of its own; says as JSON what it was given.

Arguments: address of the DICOMweb service, address of WADO-URI, Study Instance UID, folder to download into.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import requests
from dicomtrolley.core import Query, QueryLevels
from dicomtrolley.qido_rs import HierarchicalQuery, QidoRS, RelationalQuery
from dicomtrolley.trolley import Trolley
from dicomtrolley.wado_rs import WadoRS, WadoRSMetaData
from dicomtrolley.wado_uri import WadoURI

url, uri, study_uid, folder = sys.argv[1:]
session = requests.Session()
searcher = QidoRS(session, url)
study = searcher.find_study(Query(StudyInstanceUID=study_uid, query_level=QueryLevels.INSTANCE))
by_name = searcher.find_studies(
    HierarchicalQuery(
        PatientName="Kanarien*",
        min_study_date=datetime(1990, 1, 1),
        max_study_date=datetime(2090, 1, 1),
        include_fields=["NumberOfStudyRelatedInstances"],
        limit=3,
    )
)
related = searcher.find_studies(RelationalQuery(query_level=QueryLevels.INSTANCE, StudyInstanceUID=study_uid))
said = {
    "study": study.uid,
    "by_name": [each.uid for each in by_name],
    "nobody": len(searcher.find_studies(HierarchicalQuery(PatientID="nobody has this"))),
    "related": sum(len(series.instances) for each in related for series in each.series),
    "metadata": len(list(WadoRSMetaData(session, url).datasets([study]))),
    "by_uri": sorted(ds.SOPInstanceUID for ds in WadoURI(session, uri).datasets([study])),
    "whole": len(list(WadoRS(session, url, request_per_series=False).datasets([study]))),
}
Trolley(searcher=searcher, downloader=WadoRS(session, url)).download(study, folder)
said["downloaded"] = sorted(path.name.replace("_", ".") for path in Path(folder).rglob("*") if path.is_file())
print(json.dumps(said))
