"""Sizes and costs of a convolution by formula."""


def output_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Cells of the output along one axis: how many places the window has."""
    window = dilation * (kernel - 1) + 1
    return (size + 2 * padding - window) // stride + 1


def parameters(
    in_channels: int, out_channels: int, kernel: int, groups: int = 1, bias: bool = True
) -> int:
    """Weights of all kernels and their biases; the size of the image does not matter."""
    return out_channels * (in_channels // groups * kernel**2 + bias)


def multiply_adds(
    in_channels: int, out_channels: int, kernel: int, cells: int, groups: int = 1
) -> int:
    """Multiplications with addition of an output of so many cells a map; biases left out."""
    return cells * parameters(in_channels, out_channels, kernel, groups, bias=False)
