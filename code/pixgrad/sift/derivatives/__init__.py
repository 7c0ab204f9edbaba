"""Derivatives of every stage of SIFT, written by hand, and of the whole descriptor.

A stage is a pair of functions: ``stage(x, …) -> (y, saved)`` and ``stage_vjp(saved, dy) -> dx``,
where ``dy`` is the gradient of a scalar with respect to ``y`` and ``dx`` the one with respect to
``x``. All in float64: smooth formulas of the same operations that the SIFT of this package makes in
float32. Angles are exact here (``arctan2``), OpenCV's is a polynomial good to 0.01 degrees.
"""

from pixgrad.sift.derivatives.chain import (
    describe,
    describe_vjp,
    descriptor_jacobian,
    descriptor_vjp,
    locate,
    locate_in_image,
    locate_in_image_vjp,
    locate_vjp,
    octave_levels,
    octave_levels_vjp,
)
from pixgrad.sift.derivatives.descriptor import (
    histogram,
    histogram_vjp,
    normalise,
    normalise_vjp,
    polar,
    polar_vjp,
    quantise,
    quantise_vjp,
)
from pixgrad.sift.derivatives.keypoint import (
    choose_extremum,
    choose_extremum_vjp,
    gate,
    gate_vjp,
    orientation_histogram,
    orientation_histogram_vjp,
    peak_orientation,
    peak_orientation_vjp,
    refine,
    refine_vjp,
)
from pixgrad.sift.derivatives.linear import (
    blur,
    blur_vjp,
    decimate,
    decimate_vjp,
    difference_of_gaussians,
    difference_of_gaussians_vjp,
    double,
    double_vjp,
    pixel_differences,
    pixel_differences_vjp,
)
from pixgrad.sift.derivatives.types import Geometry, Keypoint, ScaleSpace

__all__ = [
    "Geometry",
    "Keypoint",
    "ScaleSpace",
    "blur",
    "blur_vjp",
    "choose_extremum",
    "choose_extremum_vjp",
    "decimate",
    "decimate_vjp",
    "describe",
    "describe_vjp",
    "descriptor_jacobian",
    "descriptor_vjp",
    "difference_of_gaussians",
    "difference_of_gaussians_vjp",
    "double",
    "double_vjp",
    "gate",
    "gate_vjp",
    "histogram",
    "histogram_vjp",
    "locate",
    "locate_in_image",
    "locate_in_image_vjp",
    "locate_vjp",
    "normalise",
    "normalise_vjp",
    "octave_levels",
    "octave_levels_vjp",
    "orientation_histogram",
    "orientation_histogram_vjp",
    "peak_orientation",
    "peak_orientation_vjp",
    "pixel_differences",
    "pixel_differences_vjp",
    "polar",
    "polar_vjp",
    "quantise",
    "quantise_vjp",
    "refine",
    "refine_vjp",
]
