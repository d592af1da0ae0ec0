"""The DICOM Service: worklist, exams, callbacks, viewer tokens and UIDs for applications."""
