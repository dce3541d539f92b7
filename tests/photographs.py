"""Synthetic photographs of MNIST digits: paper, light, position, size and pen."""

from typing import Literal

import numpy as np
from PIL import Image
from scipy import ndimage

Kind = Literal["ink", "chalk", "shadow"]


def photograph(digit: np.ndarray, seed: int, kind: Kind = "ink") -> np.ndarray:
    """Return a gray image of an MNIST digit that looks like a photograph.

    The digit is rotated by up to 12 degrees, takes up a third to three quarters of the
    shorter side, and can be anywhere. Ink is dark on textured paper, chalk is bright on
    a board. Light falls from one side and fades towards the corners. A shadow covers a
    part of the image.
    """
    draw = np.random.default_rng(seed)
    height, width = draw.integers(120, 300, 2)
    side = int(draw.uniform(0.33, 0.75) * min(height, width))
    bicubic = Image.Resampling.BICUBIC
    large = Image.fromarray(digit).resize((side, side), bicubic)
    turned = large.rotate(draw.uniform(-12, 12), bicubic)
    top, left = draw.integers(0, height - side), draw.integers(0, width - side)
    ink = np.zeros((height, width))
    ink[top : top + side, left : left + side] = np.asarray(turned) / 255
    grid = np.mgrid[:height, :width] / np.array([height, width])[:, None, None] - 0.5
    across = lambda angle: np.cos(angle) * grid[1] + np.sin(angle) * grid[0]
    light = 1 + draw.uniform(0.3, 0.75) * across(draw.uniform(0, 2 * np.pi))
    light -= draw.uniform(0, 0.5) * np.sum(grid**2, axis=0)
    if kind == "shadow":
        depth = across(draw.uniform(0, 2 * np.pi)) + draw.uniform(-0.2, 0.2)
        light *= 1 - draw.uniform(0.3, 0.5) / (
            1 + np.exp(-depth * draw.uniform(20, 80))
        )
    coarse, fine = (
        ndimage.gaussian_filter(draw.normal(size=ink.shape), width) * width
        for width in (6, 1)
    )
    texture = 1 + draw.uniform(0.02, 0.08) * coarse + draw.uniform(0.01, 0.05) * fine
    if kind == "chalk":
        image = draw.uniform(30, 70) * light * texture + draw.uniform(60, 150) * ink
    else:
        image = draw.uniform(150, 235) * light * texture
        image *= 1 - draw.uniform(0.45, 0.9) * ink
    image = ndimage.gaussian_filter(image, draw.uniform(0, 1.5))
    image += draw.normal(size=ink.shape) * draw.uniform(0, 6)
    return image.clip(0, 255).astype(np.uint8)
