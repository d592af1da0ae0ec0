"""The desktop: windows, pages and widgets over `core`; knows Qt, never HTTP, SQL or DICOM files."""
