"""From pixel to gradient: SIFT, backpropagation and networks, and the book about them.

The science works outside the book: `pixgrad.sift`, `pixgrad.views`, `pixgrad.backprop`,
`pixgrad.nets`, `pixgrad.detection`, `pixgrad.compression`, `pixgrad.data`, `pixgrad.training`,
`pixgrad.results`. What they refuse is a `pixgrad.errors.PixgradError` of one line, in Russian, or
in English if the environment variable ``PIXGRAD_LANG`` is "en".
"""
