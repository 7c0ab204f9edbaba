"""SIFT in NumPy, stage by stage and equal to OpenCV's.

scale_space -> extrema -> refinement -> orientation -> descriptor; ``detector`` joins them.
"""

from .detector import Sift
from .features import Features

__all__ = ["Features", "Sift"]
