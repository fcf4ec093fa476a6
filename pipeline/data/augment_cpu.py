"""Runs an augmentation program on one image on the CPU, compiled by numba: no Python, no interpreter lock.

Each function equals, to the bit, what `augment_program.Code` says it equals (tests/test_augment.py), so its
arithmetic is spelled out: single precision where the original has it, integers where the original has them.
Nothing checks bounds at run time: programs come from `pipeline.data.augment` alone.

One file, because numba's cache (beside this file, or in the user's cache folder) is renewed when this file
changes, not when another one does. For the same reason the numbers of `Code` never change.
"""

from __future__ import annotations

import math

import numpy as np
from numba import carray, cfunc, njit, types
from numpy.typing import NDArray

from pipeline.data.augment_program import Code, Program

Image = NDArray[np.uint8]  # (H, W, 3)
Line = NDArray[np.uint8]  # (3 W,): one row of an image
Floats = NDArray[np.float32]

_f32 = np.float32

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def run(out: Image, image: Image, program: Program) -> None:
    """Write into `out` what `program`, (steps, WIDTH), makes of `image`; `out` is no part of `image`."""
    source = image  # what the next step reads: the image until a step has written, then `out`
    written = False
    for number in range(program.shape[0]):
        row = program[number]
        code = int(row[0])
        if code == Code.KEEP:
            continue
        if code <= Code.CONTRAST:
            _look_up(out, source, _table(source, code, row))
        elif code == Code.SATURATION:
            _saturate(out, source, _f32(row[1]), row[2] != 0)
        elif code == Code.HUE:
            _turn_hue(out, source, int(row[1]))
        elif code == Code.FILL:
            if not written:
                _copy(out, image)
            _fill(out, row)
        else:
            if written:  # these read neighbors, which must not be overwritten meanwhile
                source = np.empty_like(out)
                _copy(source, out)
            _resample(out, source, code, row)
        source = out
        written = True
    if not written:
        _copy(out, image)


@_jit
def _copy(out: Image, image: Image) -> None:
    to, of = out.reshape(-1), image.reshape(-1)
    for i in range(of.size):
        to[i] = of[i]


# ---------------------------------------------------------------- tables


@_jit
def _look_up(out: Image, image: Image, table: NDArray[np.uint8]) -> None:
    to, of = out.reshape(-1), image.reshape(-1)
    for i in range(0, of.size, 3):
        to[i] = table[0, of[i]]
        to[i + 1] = table[1, of[i + 1]]
        to[i + 2] = table[2, of[i + 2]]


@_jit
def _table(image: Image, code: int, row: Program) -> NDArray[np.uint8]:
    """Return the new value of each channel and value, (3, 256)."""
    table = np.empty((3, 256), np.uint8)
    if code == Code.AUTOCONTRAST:
        _stretch(table, image, row[1] != 0)
    elif code == Code.EQUALIZE:
        counts = _histogram(image)
        for channel in range(3):
            _equalize(table[channel], counts[channel])
    else:
        level = float(_mean_grey(image)) if code == Code.CONTRAST else row[2]
        for channel in range(3):
            for value in range(256):
                table[channel, value] = _new_value(value, code, row[1], level)
    return table


@_jit
def _new_value(value: int, code: int, parameter: float, level: float) -> int:
    """Return what becomes of `value` in the tables that are the same for all channels."""
    if code == Code.POSTERIZE:
        dropped = 8 - int(parameter)
        return value >> dropped << dropped
    if code == Code.SOLARIZE:
        return value if value < parameter else 255 - value
    if code == Code.SOLARIZE_ADD:
        return min(value + int(parameter), 255) if value < 128 else value
    return _blend(_f32(level), _f32(value), _f32(parameter))  # BLEND, CONTRAST


@_jit
def _blend(level: np.float32, value: np.float32, factor: np.float32) -> int:
    """Return level + factor * (value - level) cut to 0..255 and rounded down; PIL's Blend.c and TF alike."""
    return int(min(max(level + factor * (value - level), _f32(0)), _f32(255)))


@_jit
def _stretch(table: NDArray[np.uint8], image: Image, single: bool) -> None:
    """Fill a table that stretches each channel to 0..255; PIL's ImageOps.autocontrast in double precision."""
    counts = _histogram(image)
    for channel in range(3):
        low, high = _least_and_greatest(counts[channel])
        for value in range(256):
            if low == high:
                new = float(value)
            elif single:
                scale = _f32(255) / _f32(high - low)
                new = float(_f32(value) * scale + -_f32(low) * scale)
            else:
                double = 255.0 / (high - low)
                new = value * double + -low * double
            table[channel, value] = int(min(max(new, 0.0), 255.0))


@_jit
def _equalize(table: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    """Fill a table of one channel; PIL's ImageOps.equalize, which is not the textbook's."""
    step = (counts.sum() - counts[_least_and_greatest(counts)[1]]) // 255
    total = step // 2
    for value in range(256):
        table[value] = value if step == 0 else min(total // step, 255)
        total += counts[value]


@_jit
def _least_and_greatest(counts: NDArray[np.int64]) -> tuple[int, int]:
    low, high = 0, 255
    while counts[low] == 0:
        low += 1
    while counts[high] == 0:
        high -= 1
    return low, high


@_jit
def _histogram(image: Image) -> NDArray[np.int64]:
    counts = np.zeros((3, 256), np.int64)
    values = image.reshape(-1)
    for i in range(0, values.size, 3):
        counts[0, values[i]] += 1
        counts[1, values[i + 1]] += 1
        counts[2, values[i + 2]] += 1
    return counts


@_jit
def _mean_grey(image: Image) -> int:
    values = image.reshape(-1)
    total = 0
    for i in range(0, values.size, 3):
        total += _pil_grey(values[i], values[i + 1], values[i + 2])
    return int(total / (values.size // 3) + 0.5)


# ---------------------------------------------------------------- colors


@_jit
def _pil_grey(red: int, green: int, blue: int) -> int:
    """Return PIL's L: ITU-R 601 in 16 bits, rounded."""
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


@_jit
def _tf_grey(red: int, green: int, blue: int) -> int:
    """Return tf.image.rgb_to_grayscale: to [0, 1], weighted, times 255.5 rounded down; single precision."""
    part = _f32(1 / 255)
    weighted = _f32(red) * part * _f32(0.2989) + _f32(green) * part * _f32(0.587)
    return int((weighted + _f32(blue) * part * _f32(0.114)) * _f32(255.5))


@_jit
def _saturate(out: Image, image: Image, factor: np.float32, tf: bool) -> None:
    to, of = out.reshape(-1), image.reshape(-1)
    for i in range(0, of.size, 3):
        red, green, blue = of[i], of[i + 1], of[i + 2]
        grey = _f32(_tf_grey(red, green, blue) if tf else _pil_grey(red, green, blue))
        to[i] = _blend(grey, _f32(red), factor)
        to[i + 1] = _blend(grey, _f32(green), factor)
        to[i + 2] = _blend(grey, _f32(blue), factor)


@_jit
def _turn_hue(out: Image, image: Image, shift: int) -> None:
    """Add `shift` to PIL's 8-bit hue, modulo 256; what the way to HSV and back rounds is rounded here too."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            hue, saturation, value = _to_hsv(image[y, x, 0], image[y, x, 1], image[y, x, 2])
            red, green, blue = _to_rgb((hue + shift) & 255, saturation, value)
            out[y, x, 0] = red
            out[y, x, 1] = green
            out[y, x, 2] = blue


@_jit
def _to_hsv(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """Return PIL's 8-bit hue, saturation and value (Convert.c: rgb2hsv)."""
    high, low = max(red, green, blue), min(red, green, blue)
    if high == low:
        return 0, 0, int(high)
    spread = _f32(high - low)
    from_red, from_green = _f32(high - red) / spread, _f32(high - green) / spread
    from_blue = _f32(high - blue) / spread
    if red == high:
        sixths = from_blue - from_green
    elif green == high:
        sixths = _f32(2.0 + from_red - from_blue)
    else:
        sixths = _f32(4.0 + from_green - from_red)
    turn = sixths / 6.0 + 1.0  # never negative
    hue = _f32(turn - math.floor(turn))
    return int(hue * 255.0), int(spread / _f32(high) * 255.0), int(high)


@_jit
def _to_rgb(hue: int, saturation: int, value: int) -> tuple[int, int, int]:
    """Return the color of PIL's 8-bit hue, saturation and value (Convert.c: hsv2rgb)."""
    sixths = _f32(hue) * 6.0 / 255.0
    sector = math.floor(sixths)
    rest, share = _f32(sixths - sector), _f32(saturation / 255.0)
    p = int(value * (1.0 - share) + 0.5)
    q = int(value * (1.0 - share * rest) + 0.5)
    t = int(value * (1.0 - share * (1.0 - rest)) + 0.5)
    sector = sector % 6
    if sector == 0:
        return value, t, p
    if sector == 1:
        return q, value, p
    if sector == 2:
        return p, value, t
    if sector == 3:
        return p, q, value
    if sector == 4:
        return t, p, value
    return value, p, q


@_jit
def _fill(out: Image, row: Program) -> None:
    for y in range(int(row[1]), int(row[3])):
        for x in range(int(row[2]), int(row[4])):
            _paint(out, y, x, row, 5)


# ---------------------------------------------------------------- neighbors


@_jit
def _resample(out: Image, image: Image, code: int, row: Program) -> None:
    if code == Code.SHARPNESS:
        _sharpen(out, image, _f32(row[1]), row[2] != 0)
    elif code == Code.TF_NEAREST:
        _tf_nearest(out, image, row)
    elif code == Code.NEAREST:
        _nearest(out, image, row)
    elif code == Code.BILINEAR:
        _bilinear(out, image, row)
    else:
        _bicubic(out, image, row)


@_jit
def _sharpen(out: Image, image: Image, factor: np.float32, tf: bool) -> None:
    """Blend with the image smoothed by (1 1 1, 1 5 1, 1 1 1) / 13; the outermost pixels stay."""
    _copy(out, image)
    height, width = image.shape[0], image.shape[1] * 3
    of, to = image.reshape((height, width)), out.reshape((height, width))
    smooth = np.empty(width - 6, np.float32)
    for y in range(1, height - 1):
        if tf:
            _smooth_tf(smooth, of[y - 1], of[y], of[y + 1])
        else:
            _smooth_pil(smooth, of[y - 1], of[y], of[y + 1])
        line, target = of[y, 3:], to[y, 3:]
        for i in range(smooth.size):
            target[i] = _blend(smooth[i], _f32(line[i]), factor)


@_jit
def _smooth_pil(smooth: Floats, above: Line, line: Line, below: Line) -> None:
    """Round to nearest. The sum is a whole number and 13 is odd: there are no ties to get wrong."""
    above_right, right, below_right = above[6:], line[6:], below[6:]
    for i in range(smooth.size):
        total = _f32(above[i]) + _f32(above[i + 3]) + _f32(above_right[i])
        total += _f32(line[i]) + _f32(5) * _f32(line[i + 3]) + _f32(right[i])
        total += _f32(below[i]) + _f32(below[i + 3]) + _f32(below_right[i])
        smooth[i] = math.floor(total * _f32(1 / 13) + _f32(0.5))


@_jit
def _smooth_tf(smooth: Floats, above: Line, line: Line, below: Line) -> None:
    """Round down what TF's convolution sums: nine fused multiply-adds, each rounded to single precision.

    The order matters: nine equal pixels may sum to a little less than the pixel, and then lose a level.
    """
    one, five = np.float64(_f32(1) / _f32(13)), np.float64(_f32(5) / _f32(13))
    for i in range(smooth.size):
        total = _f32(above[i] * one)
        total = _f32(total + above[i + 3] * one)
        total = _f32(total + above[i + 6] * one)
        total = _f32(total + line[i] * one)
        total = _f32(total + line[i + 3] * five)
        total = _f32(total + line[i + 6] * one)
        total = _f32(total + below[i] * one)
        total = _f32(total + below[i + 3] * one)
        smooth[i] = math.floor(_f32(total + below[i + 6] * one))


@_jit
def _tf_nearest(out: Image, image: Image, row: Program) -> None:
    """TF's ImageProjectiveTransformV3: single precision, halves rounded away from zero."""
    a, b, c = _f32(row[1]), _f32(row[2]), _f32(row[3])
    d, e, f = _f32(row[4]), _f32(row[5]), _f32(row[6])
    height, width = image.shape[0], image.shape[1]
    for y in range(height):
        for x in range(width):
            from_x = _round_half_away(a * _f32(x) + b * _f32(y) + c)
            from_y = _round_half_away(d * _f32(x) + e * _f32(y) + f)
            if 0 <= from_x < width and 0 <= from_y < height:
                out[y, x, 0] = image[from_y, from_x, 0]
                out[y, x, 1] = image[from_y, from_x, 1]
                out[y, x, 2] = image[from_y, from_x, 2]
            else:
                _paint(out, y, x, row, 7)


@_jit
def _round_half_away(value: np.float32) -> int:
    whole = int(value)  # towards zero; the rest is exact in single precision
    rest = value - _f32(whole)
    return whole + int(rest >= _f32(0.5)) - int(rest <= _f32(-0.5))


@_jit
def _nearest(out: Image, image: Image, row: Program) -> None:
    """PIL's affine_fixed (Geometry.c): coordinates in 16.16 fixed point, rounded down."""
    a, b, c = _fixed(row[1]), _fixed(row[2]), _fixed(row[3] + row[1] * 0.5 + row[2] * 0.5)
    d, e, f = _fixed(row[4]), _fixed(row[5]), _fixed(row[6] + row[4] * 0.5 + row[5] * 0.5)
    height, width = image.shape[0], image.shape[1]
    for y in range(height):
        for x in range(width):
            from_x, from_y = (a * x + b * y + c) >> 16, (d * x + e * y + f) >> 16
            if 0 <= from_x < width and 0 <= from_y < height:
                out[y, x, 0] = image[from_y, from_x, 0]
                out[y, x, 1] = image[from_y, from_x, 1]
                out[y, x, 2] = image[from_y, from_x, 2]
            else:
                _paint(out, y, x, row, 7)


@_jit
def _fixed(value: float) -> int:
    return math.floor(value * 65536.0 + 0.5)


@_jit
def _paint(out: Image, y: int, x: int, row: Program, column: int) -> None:
    out[y, x, 0] = int(row[column])
    out[y, x, 1] = int(row[column + 1])
    out[y, x, 2] = int(row[column + 2])


# Both interpolations are PIL's generic transform (Geometry.c): double precision, pixels of the edge repeated,
# the result rounded down, the color in `row` where the output's center falls outside of the image.


@_jit
def _bilinear(out: Image, image: Image, row: Program) -> None:
    a, b, c, d, e, f = row[1], row[2], row[3], row[4], row[5], row[6]
    height, width = image.shape[0], image.shape[1]
    for y in range(height):
        for x in range(width):
            from_x = a * (x + 0.5) + b * (y + 0.5) + c
            from_y = d * (x + 0.5) + e * (y + 0.5) + f
            if not (0.0 <= from_x < width and 0.0 <= from_y < height):
                _paint(out, y, x, row, 7)
                continue
            left, top = math.floor(from_x - 0.5), math.floor(from_y - 0.5)
            across, down = from_x - 0.5 - left, from_y - 0.5 - top
            x0, x1 = max(left, 0), min(left + 1, width - 1)
            y0, y1 = max(top, 0), min(top + 1, height - 1)
            for channel in range(3):
                upper, lower = float(image[y0, x0, channel]), float(image[y1, x0, channel])
                upper += (float(image[y0, x1, channel]) - upper) * across
                lower += (float(image[y1, x1, channel]) - lower) * across
                out[y, x, channel] = int(upper + (lower - upper) * down)


@_jit
def _bicubic(out: Image, image: Image, row: Program) -> None:
    a, b, c, d, e, f = row[1], row[2], row[3], row[4], row[5], row[6]
    height, width = image.shape[0], image.shape[1]
    of = image.reshape(-1)
    for y in range(height):
        for x in range(width):
            from_x = a * (x + 0.5) + b * (y + 0.5) + c
            from_y = d * (x + 0.5) + e * (y + 0.5) + f
            if not (0.0 <= from_x < width and 0.0 <= from_y < height):
                _paint(out, y, x, row, 7)
                continue
            left, top = math.floor(from_x - 0.5), math.floor(from_y - 0.5)
            across, down = from_x - 0.5 - left, from_y - 0.5 - top
            x0, x1 = 3 * max(left - 1, 0), 3 * max(left, 0)
            x2, x3 = 3 * min(left + 1, width - 1), 3 * min(left + 2, width - 1)
            y0, y1 = 3 * width * max(top - 1, 0), 3 * width * max(top, 0)
            y2, y3 = 3 * width * min(top + 1, height - 1), 3 * width * min(top + 2, height - 1)
            for channel in range(3):
                value = _cubic_row(of, y1 + channel, x0, x1, x2, x3, across)
                if down != 0.0:  # it is 0 in shears and shifts along x, which then need one row of four
                    first = _cubic_row(of, y0 + channel, x0, x1, x2, x3, across)
                    third = _cubic_row(of, y2 + channel, x0, x1, x2, x3, across)
                    fourth = _cubic_row(of, y3 + channel, x0, x1, x2, x3, across)
                    value = _cubic(first, value, third, fourth, down)
                out[y, x, channel] = int(min(max(value, 0.0), 255.0))


@_jit
def _cubic_row(of: Line, start: int, x0: int, x1: int, x2: int, x3: int, across: float) -> float:
    here = float(of[start + x1])
    if across == 0.0:
        return here
    return _cubic(float(of[start + x0]), here, float(of[start + x2]), float(of[start + x3]), across)


@_jit
def _cubic(first: float, second: float, third: float, fourth: float, at: float) -> float:
    """Cubic convolution with a = -1, in PIL's order of operations."""
    linear = -first + third
    square = 2 * (first - second) + third - fourth
    cube = -first + second - third + fourth
    return second + at * (linear + at * (square + at * cube))


# ---------------------------------------------------------------- what DALI calls

# Compiled at import: seconds the first time, then from the cache.
_Shape = types.CPointer(types.int64)
_Pointers = types.CPointer(types.voidptr)
_Shapes = types.CPointer(_Shape)
_Numbers = types.CPointer(types.int32)
_n = types.int32

# The layouts are those of DALI's NumbaFunction (nvidia/dali/plugin/numba).


@cfunc(types.void(_Pointers, _Shapes, _Numbers, _n, _Pointers, _Shapes, _Numbers, _n), cache=True)
def run_sample(outs, out_shapes, out_ndims, num_outs, ins, in_shapes, in_ndims, num_ins):  # type: ignore[no-untyped-def]
    """Call `run` on the arrays of one image: one output, and as inputs the image and its program."""
    to, of, by = out_shapes[0], in_shapes[0], in_shapes[1]
    run(
        carray(outs[0], (to[0], to[1], to[2]), np.uint8),
        carray(ins[0], (of[0], of[1], of[2]), np.uint8),
        carray(ins[1], (by[0], by[1]), np.float64),
    )


@cfunc(types.void(_Shapes, _Numbers, _n, _Shapes, _Numbers, _n, _n), cache=True)
def set_shapes(out_shapes, out_ndims, num_outs, in_shapes, in_ndims, num_ins, num_samples):  # type: ignore[no-untyped-def]
    """Give each output of a batch its image's shape."""
    for sample in range(num_samples):
        for axis in range(3):
            out_shapes[sample][axis] = in_shapes[sample][axis]
