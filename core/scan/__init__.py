"""From a disc, folder or ZIP file to a study tree with a reason for every file left out."""
