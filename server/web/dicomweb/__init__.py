"""DICOMweb (PS3.18): store and retrieve, at every address people use."""
