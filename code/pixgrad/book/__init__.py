"""The report generator: freeze, render, notebooks, check.

``qmd``, ``errors`` and ``staleness`` use the standard library alone and run on Python 3.9:
the Quarto pre-render step imports them with whatever ``python3`` it finds.
"""
