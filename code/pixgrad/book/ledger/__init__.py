"""The ledger of ``_freeze``: what each chapter depends on, whether it is stale, its results.

The rule of this folder: the standard library alone, Python 3.9. The Quarto pre-render step is
started with whatever ``python3`` there is, and this is all that it needs, with ``errors``,
``files`` and ``dataroot`` of the package. A test reads every module here.
"""
