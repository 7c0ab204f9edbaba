"""The report generator: freeze, render, notebooks, check.

``prerender`` and what it imports (``qmd``, ``dependencies``, ``staleness``, ``store``,
``files``, ``errors``, ``dataroot``) use the standard library alone and run on Python 3.9: the
Quarto pre-render step is started with whatever ``python3`` there is.
"""
