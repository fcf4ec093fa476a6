"""Making data sets: from downloads, folders and packages to a folder with a manifest."""
