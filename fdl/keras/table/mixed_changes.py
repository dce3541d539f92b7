"""Layers that apply several changes to images, chosen at random or in sequence."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array, Key
from fdl.keras.layers import snake_case
from fdl.keras.table import colored_images as colored
from fdl.keras.table import moved_images as moved
from fdl.keras.table.augmentation import VALUES, Change, factor, in_training
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import (
    Option,
    anything,
    flag,
    layer,
    number,
    several,
    whole,
)

Options = Mapping[str, Any]
_MOVES: tuple[Change, ...] = (moved.shear, moved.translate, moved.rotate)
_COLORS: tuple[Change, ...] = (
    colored.brighten,
    colored.fade,
    colored.change_contrast,
    colored.sharpen,
)
_VALUES: tuple[Change, ...] = (
    colored.posterize,
    colored.solarize,
    colored.stretch,
    colored.equalize,
)


def _rand_augment(key: Key, images: Array, o: Options) -> Array:
    """Apply random changes of eleven kinds (Cubuk et al., 2020, arXiv:1909.13719)."""
    return _chain(key, images, o["num_ops"], (*_MOVES, *_COLORS, *_VALUES), o)


def _aug_mix(key: Key, images: Array, o: Options) -> Array:
    """Mix images with chains of changes (Hendrycks et al., 2020, arXiv:1912.02781)."""
    changes = (*_MOVES, *_VALUES, *(_COLORS if o["all_ops"] else ()), _nothing)
    keys = jax.random.split(key, 2 + o["num_chains"])
    first, share, chains = keys[0], keys[1], keys[2:]
    alphas = jnp.full(o["num_chains"], o["alpha"], images.dtype)
    weights = jax.random.dirichlet(first, alphas, dtype=images.dtype)

    def add(mixed: Array, chain: tuple[Key, Array]) -> tuple[Array, None]:
        key, weight = chain
        return mixed + weight * _chain(key, images, o["chain_depth"], changes, o), None

    mixed, _ = jax.lax.scan(add, jnp.zeros_like(images), (chains, weights))
    kept = jax.random.beta(share, o["alpha"], o["alpha"], dtype=images.dtype)
    return jnp.clip(kept * images + (1 - kept) * mixed, *o["value_range"])


def _chain(
    key: Key, images: Array, length: int, changes: tuple[Change, ...], o: Options
) -> Array:
    """Apply random changes in a loop, so that each kind is compiled only once."""
    change = lambda images, one: (_any_of(one, images, changes, o), None)
    return jax.lax.scan(change, images, jax.random.split(key, length))[0]


def _any_of(key: Key, images: Array, changes: tuple[Change, ...], o: Options) -> Array:
    """Apply one random change, the same kind for all images."""
    which, how = jax.random.split(key)
    part = o["factor"]
    names = "factor x_factor y_factor height_factor width_factor".split()
    names += ["addition_factor", "threshold_factor"]
    options = {
        **dict.fromkeys(names, part),
        "value_range": o["value_range"],
        "interpolation": o["interpolation"],
        "fill_mode": "reflect",
        "fill_value": 0.0,
    }
    bits = {**options, "factor": (1, max(1, int(8 * part[1])))}
    branches = [
        lambda x, change=change: change(
            how, x, bits if change is colored.posterize else options
        )
        for change in changes
    ]
    return jax.lax.switch(
        jax.random.randint(which, (), 0, len(changes)), branches, images
    )


def _nothing(key: Key, images: Array, o: Options) -> Array:
    return images


def _pipeline(run: Run, x: Any) -> Any:
    counts: dict[str, int] = {}
    for inner in run.options["layers"]:
        kind = snake_case(inner.kind)
        again = counts[kind] = counts.get(kind, -1) + 1
        name = f"{kind}_{again}" if again else kind
        x = run.part(name, inner, f"_pipeline_layers/{name}")(x)
    return x


_COUNT = whole(high=64)
_MIXED = {
    "factor": Option(factor(0, 1), 0.5),
    "interpolation": moved.SEEN["interpolation"],
    **VALUES,
}

LAYERS = {
    "RandAugment": in_training(_rand_augment, {"num_ops": Option(_COUNT, 2), **_MIXED}),
    "AugMix": in_training(
        _aug_mix,
        {
            **_MIXED,
            "factor": Option(factor(0, 1), 0.3),
            "num_chains": Option(_COUNT, 3),
            "chain_depth": Option(_COUNT, 3),
            "alpha": Option(number(1e-6), 1.0),
            "all_ops": Option(flag, True),
        },
    ),
    "Pipeline": Entry(_pipeline, {"layers": Option(several(layer))}),
    "MaxNumBoundingBoxes": in_training(
        _nothing, {"max_number": Option(whole()), "fill_value": Option(anything, -1)}
    ),
}
