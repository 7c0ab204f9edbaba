"""Finding objects: boxes, matching, the loss, decoding, and how well the found boxes fit.

Boxes are rows of left, top, right, bottom, or of centre x, centre y, width, height, in shares of
the photo's width and height. Networks are in :mod:`pixgrad.nets.ssd`.
"""
