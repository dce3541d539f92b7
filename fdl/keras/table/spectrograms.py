"""Spectrograms: audio as frequencies over time."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.arrays import Array
from fdl.keras.table import fourier
from fdl.keras.table.convolution import convolve
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import draw
from fdl.keras.table.layout import DATA_FORMAT, is_first
from fdl.keras.table.options import Option, choice, flag, number, optional, whole

_LEAST = 1e-7  # Keras' epsilon


def _stft(run: Run, x: Array) -> Array:
    o = run.options
    x = x if is_first(run) else jnp.swapaxes(x, 1, 2)
    length, step = o["frame_length"], o["frame_step"] or o["frame_length"] // 2
    size = o["fft_length"] or 1 << (length - 1).bit_length()
    mode = o["mode"]
    sides = [side for side in ("real", "imag") if mode in (side, *_BOTH)]
    signals = []
    for side in sides:
        shape = (length, 1, size // 2 + 1)
        kernel = run.weight(f"{side}_kernel", shape, drawn=draw(_form(o, side), None))
        rows = x.reshape(-1, x.shape[-1], 1)
        y = convolve(rows, kernel, (step,), o["padding"], (1,), 1)
        y = y.reshape(*x.shape[:2], *y.shape[1:])
        signals.append(jnp.swapaxes(y, 2, 3))  # example, channel, frequency, time
    match mode:
        case "stft":
            y = jnp.concatenate(signals, axis=2)
        case "angle":
            y = jnp.arctan2(signals[1], signals[0])
        case "real" | "imag":
            y = signals[0]
        case _:
            y = _power(mode, sum(jnp.square(each) for each in signals))
    if o["expand_dims"]:
        return jnp.transpose(y, (0, 1, 3, 2) if is_first(run) else (0, 3, 2, 1))
    y = y.reshape(y.shape[0], -1, y.shape[-1])
    return y if is_first(run) else jnp.swapaxes(y, 1, 2)


def _form(options: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    window = {key: options[key] for key in ("window", "scaling", "periodic")}
    return {"class_name": "STFT", "side": side, **window}


def _power(mode: str, power: Any) -> Array:
    if mode == "psd":  # all but the first and last include a negative frequency
        return power.at[:, :, 1:-1].multiply(2)
    size = jnp.sqrt(jnp.maximum(power, _LEAST))
    return size if mode == "magnitude" else jnp.log(jnp.maximum(size, _LEAST))


def _mel(run: Run, x: Array) -> Array:
    o = run.options
    size, step = o["fft_length"], o["sequence_stride"]
    length = o["sequence_length"] or size
    if length > size:
        raise ValueError(f"sequence_length={length} is longer than fft_length={size}")
    waves = short_time_fourier(x, o["window"], length, size, step)
    y = jnp.abs(waves) ** o["mag_exp"]
    y = y @ jnp.asarray(_bands(o, size // 2 + 1), y.dtype)
    if o["power_to_db"]:
        low = o["min_power"]
        y = 10 * jnp.log10(jnp.maximum(y, low))
        y = y - 10 * np.log10(max(abs(o["ref_power"]), low))
        y = jnp.maximum(y, jnp.max(y) - o["top_db"])
    return jnp.swapaxes(y, -1, -2)


def frames(x: Array, length: int, step: int) -> Array:
    """Return the frames of signals, each `step` after the last."""
    count = 1 + (x.shape[-1] - length) // step
    return x[..., jnp.arange(count)[:, None] * step + jnp.arange(length)[None]]


def short_time_fourier(
    x: Array, window: str | None, length: int, size: int, step: int, center: bool = True
) -> Array:
    """Return the Fourier transforms of frames of signals, reflected at the ends."""
    if center:
        half = size // 2
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode="reflect")
    x = frames(x, size, step)
    weights = jnp.asarray(_padded_window(window, length, size), x.dtype)
    return jnp.fft.rfft(x * jnp.broadcast_to(weights, x.shape))


def _padded_window(name: str | None, length: int, size: int) -> np.ndarray:
    """Return a periodic window in the middle of zeros, or ones if it has no name."""
    if name is None:
        return np.ones(size)
    mean = {"hann": 0.5, "hamming": 0.54}[name]
    window = mean - (1 - mean) * np.cos(2 * np.pi * np.arange(length) / length)
    before = (size - length) // 2
    return np.pad(window, (before, size - length - before))


def _bands(o: Mapping[str, Any], bins: int) -> np.ndarray:
    """Return triangular filters over frequencies, equal on the mel scale (HTK's)."""
    mel = lambda hertz: 1127.0 * np.log(1 + np.asarray(hertz) / 700.0)
    rate, high = o["sampling_rate"], o["max_freq"] or o["sampling_rate"] // 2
    points = mel(np.linspace(0, rate / 2, bins)[1:])[:, None]
    edges = np.linspace(mel(o["min_freq"]), mel(high), o["num_mel_bins"] + 2)
    low, center, top = edges[:-2], edges[1:-1], edges[2:]
    up, down = (points - low) / (center - low), (top - points) / (top - center)
    weights = np.maximum(0, np.minimum(up, down))
    return np.pad(weights, ((1, 0), (0, 0)))  # no filter covers frequency 0


def _few(value: Any) -> int:
    count = whole()(value)
    if count > fourier.MOST:
        raise ValueError(f"must be at most {fourier.MOST:,}")
    return count


_BOTH = ("log", "magnitude", "psd", "angle", "stft")

LAYERS = {
    "STFTSpectrogram": Entry(
        _stft,
        {
            "mode": Option(choice("real", "imag", *_BOTH), "log"),
            "frame_length": Option(_few, 256),
            "frame_step": Option(optional(whole()), None),
            "fft_length": Option(optional(_few), None),
            "padding": Option(choice("valid", "same"), "valid"),
            "expand_dims": Option(flag, False),
            **{
                name: Option(*known)
                for name, known in fourier.OPTIONS.items()
                if name != "side"
            },
            **DATA_FORMAT,
        },
    ),
    "MelSpectrogram": Entry(
        _mel,
        {
            "fft_length": Option(_few, 2048),
            "sequence_stride": Option(whole(), 512),
            "sequence_length": Option(optional(_few), None),
            "window": Option(choice("hann", "hamming", None), "hann"),
            "sampling_rate": Option(whole(), 16000),
            "num_mel_bins": Option(_few, 128),
            "min_freq": Option(number(0), 20.0),
            "max_freq": Option(optional(number(0)), None),
            "power_to_db": Option(flag, True),
            "top_db": Option(number(), 80.0),
            "mag_exp": Option(number(), 2.0),
            "min_power": Option(number(0), 1e-10),
            "ref_power": Option(number(), 1.0),
        },
        level="the mel filters are exact, those of Keras in single precision",
    ),
}
