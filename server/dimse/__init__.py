"""The DICOM network door (PS3.7, PS3.8): one thread an association, each message one call of `core`."""
