"""The ledger of ``_freeze``: what each chapter depends on, whether it is stale, its results.

``units`` and ``mentions`` cut a module, ``reach`` and ``printed`` follow the names of a chapter's
cells through it, ``code`` compares what they reach with the record; ``dependencies`` does so with
all else that a chapter used: files, folders, what it looked for in vain, ``packages``. ``qmd`` and
``include`` read chapters, ``frozen`` holds results, ``ledger`` joins all.

The rule of this folder: the standard library alone, Python 3.9. The Quarto pre-render step is
started with whatever ``python3`` there is, and this is all that it needs, with ``errors``,
``files`` and ``dataroot`` of the package. A test reads every module here.
"""
