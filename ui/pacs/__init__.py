"""The PACS page: search an archive on the network by DICOM, fetch studies, read its worklist."""
