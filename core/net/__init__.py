"""Clients of other programs: HTTP with our errors, clients of V3 and DICOMweb, remote archives as sources."""
