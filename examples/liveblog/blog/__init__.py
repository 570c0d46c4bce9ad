"""A blog that its readers see being written."""
