"""Default boxes of the published SSD300 and SSD512 (Liu et al., 2016)."""

from itertools import pairwise

from pixgrad.detection.boxes import Grid

MAPS = {
    300: ((38, 8), (19, 16), (10, 32), (5, 64), (3, 100), (1, 300)),
    512: ((64, 8), (32, 16), (16, 32), (8, 64), (4, 128), (2, 256), (1, 512)),
}
"""By the side of the photo: cells a side of each map, and pixels between their centres."""
SCALES = {
    300: (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    512: (0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05),
}
"""For 300 pixels those of COCO, which torchvision has too; for 512 those of VOC."""
FEW, MANY = (2.0,), (2.0, 3.0)


def grids(side: int) -> list[Grid]:
    """Four boxes a cell on the first map and the last two, six on the others.

    Parameters
    ----------
    side : of the photo, 300 or 512.

    Examples
    --------
    >>> from pixgrad.detection.boxes import default_boxes
    >>> len(default_boxes(grids(300)))
    8732
    """
    maps = MAPS[side]
    ratios = (FEW, *[MANY] * (len(maps) - 3), FEW, FEW)
    return [
        Grid(cells, cells, scale, following, own, pitch / side)
        for (cells, pitch), (scale, following), own in zip(
            maps, pairwise(SCALES[side]), ratios, strict=True
        )
    ]
