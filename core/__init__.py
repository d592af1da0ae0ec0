"""DICOM, discs, the archive, uploads and imaging, without Qt, web framework or command line."""
