"""SIFT in NumPy, stage by stage and equal to OpenCV's; matching and its evaluation.

scale_space -> extrema -> refinement -> orientation -> descriptor; ``detector`` joins them.
"""

from .detector import Sift
from .evaluation import Evaluation, evaluate
from .features import Features
from .matching import Matches, match, rootsift

__all__ = ["Evaluation", "Features", "Matches", "Sift", "evaluate", "match", "rootsift"]
