"""What makes the stored tables: `python -m experiments NAME`, see docs/experiments.md.

Every other file is an experiment: an `EXPERIMENT`, and a `SEARCH` where a setting was
searched first; or `STORED`, a table that is made at once and what computes it.
"""
