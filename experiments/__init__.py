"""The experiments behind the stored tables: `python -m experiments NAME`.

A file here that defines `EXPERIMENT` is one, under the file's name; `SEARCH`, where
there is one, is its search for a setting, which `--search` runs.
"""
