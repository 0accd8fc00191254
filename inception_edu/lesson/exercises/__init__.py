"""The exercises, one file a part of the series."""
