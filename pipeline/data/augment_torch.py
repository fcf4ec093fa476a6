"""Runs augmentation programs on a batch of images in torch, for images that are decoded on a GPU.

Equal to `augment_cpu` to the bit on a CPU (tests/test_augment.py). Every operation is a kernel of its own, so
that nothing is fused, and rounded otherwise, on a GPU. Images with the same kind of step are taken together.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.data.augment_program import Code, Program


def run(images: Tensor, programs: Program) -> Tensor:
    """Return what `programs`, (N, steps, WIDTH), make of `images`, (N, H, W, 3) uint8; the input stays."""
    images = images.clone()
    kinds = programs[..., 0].astype(np.int64)
    # Sent without waiting for what the device does, here and in all that follows.
    order, rows = (
        torch.from_numpy(array).to(images.device, non_blocking=True)
        for array in (np.argsort(kinds, axis=0, kind="stable"), np.ascontiguousarray(programs))
    )
    for number in range(programs.shape[1]):
        codes, counts = np.unique(kinds[:, number], return_counts=True)
        for code, which in zip(codes, order[:, number].split(counts.tolist()), strict=True):
            if code != Code.KEEP:
                images[which] = _apply(Code(int(code)), images[which], rows[which, number])
    return images


def _apply(code: Code, images: Tensor, rows: Tensor) -> Tensor:
    """Take one step, the same kind for all: images (N, H, W, 3) uint8, rows (N, WIDTH) float64."""
    if code <= Code.CONTRAST:
        return _look_up(images, _tables(code, images, rows))
    match code:
        case Code.SATURATION:
            grey = torch.where(_per_image(rows[:, 2]) != 0, _tf_grey(images), _pil_grey(images))
            return _blend(grey[..., None], images, rows[:, 1])
        case Code.HUE:
            return _turn_hue(images, rows[:, 1])
        case Code.FILL:
            return _fill(images, rows)
        case Code.SHARPNESS:
            return _sharpen(images, rows)
        case Code.TF_NEAREST | Code.NEAREST:
            return _nearest(images, rows, tf=code == Code.TF_NEAREST)
        case _:
            return _interpolate(images, rows, bicubic=code == Code.BICUBIC)


def _per_image(column: Tensor) -> Tensor:
    """Return (N,) as (N, 1, 1)."""
    return column[:, None, None]


def _blend(level: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Return level + factor * (x - level) cut to 0..255 and rounded down, in single precision."""
    level = level.float()
    factor = factor.float().view(-1, *[1] * (images.ndim - 1))
    return (level + factor * (images.float() - level)).clamp(0, 255).byte()


# ---------------------------------------------------------------- tables


def _look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Return each pixel's new value; tables: (N, 3, 256) uint8."""
    return tables.flatten()[_slots(images)]


def _slots(images: Tensor) -> Tensor:
    """Return where (image, channel, value) stands in a flat (N, 3, 256)."""
    n = torch.arange(images.shape[0], device=images.device)[:, None, None, None]
    channel = torch.arange(3, device=images.device)
    return (n * 3 + channel) * 256 + images


def _tables(code: Code, images: Tensor, rows: Tensor) -> Tensor:
    values = torch.arange(256, device=images.device)[None].expand(len(images), -1)  # (N, 256)
    parameter = rows[:, 1:2]
    match code:
        case Code.AUTOCONTRAST:
            return _stretch(images, values, single=parameter[:, None] != 0)
        case Code.EQUALIZE:
            return _equalize(images, values)
        case Code.POSTERIZE:
            dropped = 8 - parameter.long()
            table = values >> dropped << dropped
        case Code.SOLARIZE:
            table = torch.where(values < parameter, values, 255 - values)
        case Code.SOLARIZE_ADD:
            table = torch.where(values < 128, (values + parameter.long()).clamp(max=255), values)
        case Code.BLEND:
            table = _blend(rows[:, 2:3], values, rows[:, 1])
        case _:  # CONTRAST
            pixels = images.shape[1] * images.shape[2]
            mean = (2 * _pil_grey(images).sum((1, 2)) + pixels) // (2 * pixels)  # rounded to nearest
            table = _blend(mean[:, None], values, rows[:, 1])
    return table.byte()[:, None].expand(-1, 3, -1)


def _histograms(images: Tensor) -> Tensor:
    slots = _slots(images).flatten()
    counts = torch.zeros(len(images) * 768, dtype=torch.int64, device=images.device)  # bincount would wait
    return counts.scatter_add_(0, slots, torch.ones_like(slots)).view(-1, 3, 256)


def _stretch(images: Tensor, values: Tensor, single: Tensor) -> Tensor:
    low, high = images.amin((1, 2))[..., None], images.amax((1, 2))[..., None]  # (N, 3, 1)
    values = values[:, None]
    new = [_stretched(values, low, high, dtype).double() for dtype in (torch.float32, torch.float64)]
    new = torch.where(single, *new).nan_to_num().clamp(0, 255).long()
    return torch.where(low == high, values, new).byte()


def _stretched(values: Tensor, low: Tensor, high: Tensor, dtype: torch.dtype) -> Tensor:
    low = low.to(dtype)
    scale = torch.full_like(low, 255) / (high.to(dtype) - low)  # see _over
    return values.to(dtype) * scale + -low * scale


def _over(values: Tensor, number: float) -> Tensor:
    """Return values / number, correctly rounded: with a plain number, torch multiplies by its reciprocal."""
    return values / torch.full_like(values, number)


def _equalize(images: Tensor, values: Tensor) -> Tensor:
    counts = _histograms(images)
    step = (counts.sum(-1, keepdim=True) - counts.gather(-1, images.amax((1, 2)).long()[..., None])) // 255
    before = counts.cumsum(-1) - counts
    new = ((before + step // 2) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step == 0, values[:, None], new).byte()


# ---------------------------------------------------------------- colors


def _pil_grey(images: Tensor) -> Tensor:
    red, green, blue = images.int().unbind(-1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _tf_grey(images: Tensor) -> Tensor:
    part = torch.full((), 1 / 255, dtype=torch.float32, device=images.device)
    red, green, blue = (images.float() * part).unbind(-1)
    return ((red * 0.2989 + green * 0.587 + blue * 0.114) * 255.5).int()


def _turn_hue(images: Tensor, shift: Tensor) -> Tensor:
    hue, saturation, value = _to_hsv(images)
    return _to_rgb((hue + _per_image(shift).long()) & 255, saturation, value)


def _to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return PIL's 8-bit hue, saturation and value, int64."""
    high, low = images.amax(-1), images.amin(-1)
    grey = high == low
    spread = torch.where(grey, 1, high - low).float()
    red, green, blue = ((high[..., None] - images).float() / spread[..., None]).unbind(-1)
    sixths = torch.where(
        images[..., 0] == high,
        blue - green,
        torch.where(
            images[..., 1] == high,
            (2.0 + red.double() - blue.double()).float(),
            (4.0 + green.double() - red.double()).float(),
        ),
    )
    turn = _over(sixths.double(), 6.0) + 1.0
    hue = ((turn - turn.floor()).float().double() * 255.0).long()
    saturation = ((spread / high.clamp(min=1).float()).double() * 255.0).long()
    return hue.masked_fill(grey, 0), saturation.masked_fill(grey, 0), high.long()


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    sixths = _over(hue.double() * 6.0, 255.0)
    sector = sixths.floor()
    rest, share = (sixths - sector).float().double(), _over(saturation.double(), 255.0).float().double()
    p, q, t = (
        (value.double() * (1.0 - part) + 0.5).long() for part in (share, share * rest, share * (1.0 - rest))
    )
    sector = sector.long() % 6
    red = _choose(sector, value, q, p, p, t, value)
    green = _choose(sector, t, value, value, q, p, p)
    blue = _choose(sector, p, p, t, value, value, q)
    return torch.stack([red, green, blue], -1).byte()


def _choose(sector: Tensor, *choices: Tensor) -> Tensor:
    return torch.stack(choices).gather(0, sector[None])[0]


def _fill(images: Tensor, rows: Tensor) -> Tensor:
    y, x = _grid(images, torch.float64)
    top, left, bottom, right = (_per_image(rows[:, column]) for column in range(1, 5))
    inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
    return torch.where(inside[..., None], rows[:, None, None, 5:8].byte(), images)


# ---------------------------------------------------------------- neighbors


def _grid(images: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return y as (H, 1) and x as (1, W)."""
    _, height, width, _ = images.shape
    y = torch.arange(height, device=images.device, dtype=dtype)[:, None]
    return y, torch.arange(width, device=images.device, dtype=dtype)[None]


def _sharpen(images: Tensor, rows: Tensor) -> Tensor:
    _, height, width, _ = images.shape
    shifted = [images[:, y : height - 2 + y, x : width - 2 + x].double() for y in range(3) for x in range(3)]
    total = sum(shifted[:4] + shifted[5:], shifted[4] * 5)
    smooth_pil = (total + 6.5).div(13, rounding_mode="floor")  # never a whole number before
    one, five = float(np.float32(1) / np.float32(13)), float(np.float32(5) / np.float32(13))
    smooth_tf = torch.zeros_like(shifted[0])
    for number, pixels in enumerate(shifted):  # nine fused multiply-adds in single precision
        smooth_tf = (smooth_tf + pixels * (five if number == 4 else one)).float().double()
    smooth = torch.where(rows[:, 2].view(-1, 1, 1, 1) != 0, smooth_tf.floor(), smooth_pil)
    images[:, 1:-1, 1:-1] = _blend(smooth, images[:, 1:-1, 1:-1], rows[:, 1])
    return images


def _nearest(images: Tensor, rows: Tensor, tf: bool) -> Tensor:
    a, b, c, d, e, f = (_per_image(column) for column in rows[:, 1:7].unbind(1))
    if tf:
        y, x = _grid(images, torch.float32)
        a, b, c, d, e, f = (column.float() for column in (a, b, c, d, e, f))
        from_x, from_y = (_round_half_away(v).long() for v in (a * x + b * y + c, d * x + e * y + f))
    else:
        y, x = _grid(images, torch.int64)
        c, f = c + a * 0.5 + b * 0.5, f + d * 0.5 + e * 0.5
        a, b, c, d, e, f = ((v * 65536.0 + 0.5).floor().long() for v in (a, b, c, d, e, f))
        from_x, from_y = (a * x + b * y + c) >> 16, (d * x + e * y + f) >> 16
    height, width = images.shape[1:3]
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    return torch.where(inside[..., None], _pixels(images, from_y, from_x), rows[:, None, None, 7:10].byte())


def _round_half_away(value: Tensor) -> Tensor:
    whole = value.trunc()
    rest = value - whole
    return whole + (rest >= 0.5).float() - (rest <= -0.5).float()


def _pixels(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the pixels at (N, H, W) positions, (N, H, W, 3); beyond the edge the pixel of the edge."""
    n, height, width, _ = images.shape
    at = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    found = images.view(n, -1, 3).gather(1, at.view(n, -1, 1).expand(-1, -1, 3))
    return found.view(images.shape)


def _interpolate(images: Tensor, rows: Tensor, bicubic: bool) -> Tensor:
    a, b, c, d, e, f = (_per_image(column) for column in rows[:, 1:7].unbind(1))
    y, x = (v + 0.5 for v in _grid(images, torch.float64))
    from_x, from_y = a * x + b * y + c, d * x + e * y + f
    height, width = images.shape[1:3]
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    from_x, from_y = from_x - 0.5, from_y - 0.5
    left, top = from_x.floor(), from_y.floor()
    across, down = (from_x - left)[..., None], (from_y - top)[..., None]
    offsets = range(-1, 3) if bicubic else range(2)
    lines = [
        _between([_pixels(images, top.long() + i, left.long() + j).double() for j in offsets], across)
        for i in offsets
    ]
    value = _between(lines, down).clamp(0, 255).byte()
    return torch.where(inside[..., None], value, rows[:, None, None, 7:10].byte())


def _between(points: list[Tensor], at: Tensor) -> Tensor:
    """Interpolate two points linearly, or four by cubic convolution with a = -1, in PIL's order."""
    if len(points) == 2:
        return points[0] + (points[1] - points[0]) * at
    first, second, third, fourth = points
    cube = -first + second - third + fourth
    square = 2 * (first - second) + third - fourth
    return second + at * (-first + third + at * (square + at * cube))
