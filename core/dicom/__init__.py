"""What DICOM is made of: headers, references, the study tree, and the two ports everything meets in."""
