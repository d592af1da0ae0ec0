"""DICOM messages over TCP (PS3.7, PS3.8), for both sides of an association."""
