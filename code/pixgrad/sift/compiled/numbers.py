"""How functions are compiled, and arithmetic of single numbers for them."""

from numba import float32, njit
from numba.extending import intrinsic

from .. import descriptor
from ..arithmetic import exp

compiled = njit(cache=True, error_model="numpy", nogil=True)
inlined = njit(cache=True, error_model="numpy", nogil=True, inline="always")
exp = inlined(exp)
split = inlined(descriptor.split)


@intrinsic
def fma(context, a, b, c):
    """``a b + c`` rounded once; by the processor or, where it cannot, by the C library."""

    signature = float32(float32, float32, float32)
    return signature, lambda context, builder, signature, arguments: builder.fma(*arguments)
