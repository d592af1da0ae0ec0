"""A made-up belly: ellipsoids of tissue in Hounsfield units, to be cut in any plane."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Volume = np.ndarray[tuple[int, ...], np.dtype[np.int16]]

Grid = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

AIR = -1000


class Organ(NamedTuple):
    """An ellipsoid: centre and half axes in [-1, 1] patient space (left, back, head), and what fills it."""

    centre: tuple[float, float, float]
    half_axes: tuple[float, float, float]
    hu: int


# Later organs lie inside earlier ones and win.
ORGANS = (
    Organ((0.0, 0.0, 0.0), (0.92, 0.66, 2.40), -95),  # fat under the skin
    Organ((0.0, 0.02, 0.0), (0.84, 0.58, 2.20), 48),  # muscle
    Organ((0.0, -0.06, 0.0), (0.76, 0.46, 2.00), -80),  # fat between the organs
    Organ((-0.38, -0.04, 0.25), (0.37, 0.36, 0.62), 62),  # liver
    Organ((-0.22, -0.26, 0.00), (0.10, 0.09, 0.16), 12),  # gall bladder
    Organ((0.34, -0.18, 0.30), (0.26, 0.20, 0.36), 25),  # stomach
    Organ((0.36, -0.27, 0.32), (0.15, 0.08, 0.24), -850),  # and the air in it
    Organ((0.56, 0.16, 0.32), (0.16, 0.20, 0.34), 55),  # spleen
    Organ((-0.40, 0.28, -0.20), (0.14, 0.13, 0.36), 38),  # kidneys
    Organ((0.42, 0.28, -0.12), (0.14, 0.13, 0.36), 38),
    Organ((-0.37, 0.27, -0.20), (0.05, 0.05, 0.16), -40),
    Organ((0.39, 0.27, -0.12), (0.05, 0.05, 0.16), -40),
    Organ((-0.18, 0.42, -0.10), (0.13, 0.12, 1.60), 50),  # muscles beside the spine
    Organ((0.18, 0.42, -0.10), (0.13, 0.12, 1.60), 50),
    Organ((0.0, 0.34, 0.0), (0.145, 0.125, 3.00), 240),  # vertebral bodies
    Organ((0.0, 0.34, 0.0), (0.115, 0.095, 3.00), 160),
    Organ((0.0, 0.53, 0.0), (0.04, 0.10, 3.00), 330),  # spinous processes
    Organ((0.0, 0.475, 0.0), (0.055, 0.04, 3.00), 20),  # spinal canal
    Organ((0.07, 0.16, 0.0), (0.055, 0.055, 3.00), 150),  # aorta
    Organ((-0.08, 0.17, 0.0), (0.065, 0.045, 3.00), 95),  # vena cava
    Organ((-0.10, -0.20, -0.62), (0.12, 0.10, 0.26), 20),  # gut
    Organ((0.16, -0.24, -0.55), (0.13, 0.11, 0.24), 28),
    Organ((0.17, -0.27, -0.55), (0.06, 0.05, 0.16), -700),
    Organ((-0.48, -0.02, -0.68), (0.14, 0.14, 0.36), -350),
    Organ((0.52, -0.02, -0.60), (0.12, 0.13, 0.36), 15),
)


def axial(size: int, height: float) -> Volume:
    """One slice across the body as (size, size) HU; *height* runs from -1 (feet) to 1 (head)."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return _cut(x, y, np.full_like(x, height))


def coronal(size: int, depth: float) -> Volume:
    """One slice from the front as (size, size) HU, head up; *depth* runs from -1 (belly) to 1 (back)."""
    z, x = np.mgrid[1 : -1 : size * 1j, -1 : 1 : size * 1j]
    return _cut(x, np.full_like(x, depth), z)


def _cut(x: Grid, y: Grid, z: Grid) -> Volume:
    hu = np.full(x.shape, AIR, np.int16)
    for (cx, cy, cz), (ax, ay, az), value in ORGANS:
        hu[((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 < 1] = value
    return _soften(hu)


def _soften(hu: Volume) -> Volume:
    """Edges one pixel wide, as a scanner's: the mean of each pixel and its four neighbours."""
    wide = np.pad(hu.astype(np.int32), 1, mode="edge")
    total = wide[1:-1, 1:-1] * 2 + wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    return (total // 6).astype(np.int16)
