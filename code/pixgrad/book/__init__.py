"""The report generator: freeze, render, notebooks, check.

``ledger``: what the executed chapters depend on and what has become stale; ``source``: the Quarto
project and its chapters; ``executing``: ``pixgrad freeze``; ``rendering``: site, PDF, notebooks;
``checking``: the linter. Each knows only those before it. ``prerender`` is Quarto's way in.
"""
