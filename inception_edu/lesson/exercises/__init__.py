"""The exercises, a file for each part of the series."""
