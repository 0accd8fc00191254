"""Figures for the README: each against its peers, in one interleaved run."""
