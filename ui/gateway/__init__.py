"""How the DICOM door of the local archive stands, for people: address, visitors, arrivals, refusals."""
