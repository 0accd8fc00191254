"""The exercises, one file a part of the series; each ends in a tuple EXERCISES."""
