"""What the assignments state, and what the records of this book say of it.

A claim is a function that reads the records and returns a :class:`Finding`; the decorator
:func:`claim` puts it into the list :data:`CLAIMS`. Verdicts are computed, so a new record cannot
leave a false one. Example:

>>> from pixgrad.claims import CLAIMS
>>> CLAIMS["C6"].judge().verdict
'подтверждено'
"""

from pixgrad.claims.judging import CLAIMS, CONFIRMED, OPEN, REFINED, REFUTED, Claim, Finding

from pixgrad.claims import compression, convolution, depth, detection, networks, transformers  # noqa: F401  isort: skip

__all__ = ["CLAIMS", "CONFIRMED", "OPEN", "REFINED", "REFUTED", "Claim", "Finding"]
