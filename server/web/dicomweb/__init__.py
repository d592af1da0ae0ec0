"""DICOMweb (PS3.18): search, store and retrieve, at every address people use."""
