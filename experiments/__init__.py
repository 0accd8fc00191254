"""What makes the stored tables: `python -m experiments NAME`.

Every other file here is an experiment. It defines `EXPERIMENT`, and `SEARCH` where a
setting was searched first; or, where there is nothing to resume, `STORED`, the table
and what computes its contents.
"""
