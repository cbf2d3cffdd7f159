"""Draws one object of a bin, seen from the front, as a transparent tile: a box, book, bag, bottle, jar or ball.

Each painter is a function `(rng, width, height) -> RGBA image of that size in pixels`. The same generator state and
size give the same tile, so two units of one product look alike.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Rgb = tuple[int, int, int]
Painter = Callable[[np.random.Generator, int, int], Image.Image]

CARDBOARD: tuple[Rgb, ...] = ((168, 128, 88), (152, 114, 78), (184, 146, 104), (138, 104, 74))
PRINT: tuple[Rgb, ...] = (
    (188, 44, 44), (34, 74, 148), (36, 120, 84), (226, 160, 40), (120, 60, 140), (230, 228, 220),
    (40, 42, 50), (84, 158, 190), (216, 108, 130), (126, 148, 60), (240, 212, 80), (90, 64, 50),
)  # fmt: skip


def _colour(rng: np.random.Generator, palette: tuple[Rgb, ...], spread: int = 16) -> Rgb:
    base = np.array(palette[rng.integers(len(palette))]) + rng.integers(-spread, spread + 1, 3)
    r, g, b = np.clip(base, 0, 255).tolist()
    return r, g, b


def _shade(colour: Rgb, factor: float) -> Rgb:
    r, g, b = (min(255, max(0, round(channel * factor))) for channel in colour)
    return r, g, b


def _ink(colour: Rgb) -> Rgb:
    """A colour that can be read on `colour`."""
    return (32, 32, 36) if sum(colour) > 380 else (238, 236, 228)


def _print_lines(draw: ImageDraw.ImageDraw, rng: np.random.Generator, box: tuple[float, ...], ink: Rgb) -> None:
    """Lines of print, the first bold, inside `box` (left, top, right, bottom)."""
    left, top, right, bottom = box
    rows = int(rng.integers(2, 6))
    pitch = (bottom - top) / rows
    for row in range(rows):
        y = top + row * pitch
        length = (right - left) * rng.uniform(0.45, 1.0)
        draw.rectangle((left, y, left + length, y + pitch * (0.55 if row == 0 else 0.25)), fill=ink)


def _barcode(draw: ImageDraw.ImageDraw, rng: np.random.Generator, box: tuple[float, ...]) -> None:
    left, top, right, bottom = box
    draw.rectangle(box, fill=(244, 243, 238))
    x = left + 3
    while x < right - 4:
        bar = rng.uniform(1, 4)
        draw.rectangle((x, top + 3, min(x + bar, right - 3), bottom - 3), fill=(24, 24, 24))
        x += bar + rng.uniform(1.5, 4)


def _across(tile: Image.Image, profile: np.ndarray) -> Image.Image:
    """Multiply the tile's light by `profile` (values around 1), stretched over its width."""
    width = tile.width
    curve = np.interp(np.linspace(0, 1, width), np.linspace(0, 1, len(profile)), profile)
    pixels = np.asarray(tile).astype(np.float32)
    pixels[..., :3] = np.clip(pixels[..., :3] * curve[None, :, None], 0, 255)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


def paint_box(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A carton: front, top seen at a slant, tape or print, sometimes a label."""
    tile = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(tile)
    plain = rng.random() < 0.5
    front = _colour(rng, CARDBOARD if plain else PRINT)
    lid = height * rng.uniform(0.06, 0.18)
    skew = width * rng.uniform(0.02, 0.08)
    draw.polygon(
        ((skew, 0), (width - 1 - skew, 0), (width - 1, lid), (0, lid)), fill=_shade(front, rng.uniform(0.6, 0.8))
    )
    draw.rectangle((0, lid, width - 1, height - 1), fill=front, outline=_shade(front, 0.6), width=3)
    if plain:
        middle, half = width * rng.uniform(0.4, 0.6), width * rng.uniform(0.03, 0.08)
        draw.rectangle((middle - half, lid, middle + half, height - 1), fill=_shade(front, 1.12))
        draw.line((middle, lid, middle, height), fill=_shade(front, 0.7), width=2)
    else:
        band = lid + (height - lid) * rng.uniform(0.15, 0.5)
        stripe = _colour(rng, PRINT)
        draw.rectangle((3, band, width - 4, band + (height - lid) * rng.uniform(0.15, 0.4)), fill=stripe)
        _print_lines(draw, rng, (width * 0.12, lid + height * 0.06, width * 0.85, band - 2), _ink(front))
    if rng.random() < 0.6:
        x, y = width * rng.uniform(0.08, 0.4), lid + (height - lid) * rng.uniform(0.45, 0.65)
        _barcode(draw, rng, (x, y, x + width * rng.uniform(0.3, 0.5), y + height * rng.uniform(0.12, 0.22)))
    return tile


def paint_book(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A book: a spine when narrow, a cover with its page block when broad; lying when much wider than high."""
    if width > height * 1.6:
        return paint_book(rng, height, width).transpose(Image.Transpose.ROTATE_90)
    cover = _colour(rng, PRINT)
    tile = Image.new("RGBA", (width, height), (*cover, 255))
    draw = ImageDraw.Draw(tile)
    ink = _ink(cover)
    if width * 2.6 < height:
        for y in sorted(rng.uniform(0.05, 0.95, 3)):
            draw.rectangle((0, y * height, width, y * height + height * 0.015 + 1), fill=_shade(cover, 1.5))
        top = height * rng.uniform(0.15, 0.3)
        draw.rectangle((width * 0.35, top, width * 0.65, top + height * rng.uniform(0.3, 0.5)), fill=ink)
        draw.rectangle((width * 0.25, height * 0.88, width * 0.75, height * 0.94), fill=_colour(rng, PRINT))
        return _across(tile, np.array([0.55, 0.95, 1.15, 1.1, 0.9, 0.5]))
    draw.rectangle((width * 0.93, 3, width - 1, height - 3), fill=(226, 220, 200))
    for x in np.arange(width * 0.94, width - 1, 3):
        draw.line((x, 3, x, height - 3), fill=(188, 180, 160))
    _print_lines(draw, rng, (width * 0.1, height * 0.08, width * 0.82, height * 0.3), ink)
    x, y = width * rng.uniform(0.1, 0.3), height * rng.uniform(0.36, 0.5)
    image = (x, y, x + width * rng.uniform(0.3, 0.5), y + height * rng.uniform(0.25, 0.4))
    (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(image, fill=_colour(rng, PRINT, 40))
    draw.rectangle((0, 0, width * 0.05, height), fill=_shade(cover, 0.7))
    draw.rectangle((0, 0, width - 1, height - 1), outline=_shade(cover, 0.5), width=3)
    return tile


def paint_bag(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A plastic bag: an irregular outline, something coloured inside, folds and glossy streaks."""
    angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    radius = 0.5 - rng.uniform(0, 0.055, len(angles))
    power = rng.uniform(0.35, 0.6)  # between an ellipse (1) and a rectangle (0)
    xs = width * (0.5 + radius * np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** power)
    ys = height * (0.5 + radius * np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** power)
    outline = list(zip(xs.tolist(), ys.tolist(), strict=True))
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon(outline, fill=255)

    inside = _colour(rng, PRINT, 30)
    tile = Image.new("RGBA", (width, height), (*_shade(inside, 0.9), 255))
    draw = ImageDraw.Draw(tile)
    inset = (width * 0.16, height * 0.18, width * 0.84, height * 0.84)
    draw.rounded_rectangle(inset, radius=min(width, height) * 0.12, fill=inside)
    _print_lines(draw, rng, (width * 0.25, height * 0.3, width * 0.7, height * 0.5), _ink(inside))
    if rng.random() < 0.5:
        x, y = width * rng.uniform(0.2, 0.4), height * rng.uniform(0.5, 0.62)
        _barcode(draw, rng, (x, y, x + width * 0.35, y + height * 0.16))

    gloss = Image.new("L", (width, height))
    streaks = ImageDraw.Draw(gloss)
    for _ in range(int(rng.integers(9, 17))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        lean, reach = rng.normal(0, 0.12) * width, rng.uniform(0.08, 0.4) * height
        thickness = int(rng.integers(2, max(3, width // 28) + 1))
        streaks.line((x, y, x + lean, y + reach), fill=int(rng.integers(90, 230)), width=thickness)
    gloss = gloss.filter(ImageFilter.GaussianBlur(max(1.0, width / 110)))
    tile.paste((248, 248, 244, 255), mask=gloss)
    film = Image.new("RGBA", (width, height), (214, 214, 208, 255))
    tile = Image.blend(tile, film, rng.uniform(0.05, 0.3))
    ImageDraw.Draw(tile).line([*outline, outline[0]], fill=(*_shade(inside, 0.45), 255), width=4)
    tile.putalpha(mask)
    return tile


def paint_bottle(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A bottle: cap, neck, shoulders, a label around the body, light from one side."""
    tile = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(tile)
    body = _colour(rng, PRINT)
    neck = rng.uniform(0.22, 0.36)
    cap, shoulder = height * rng.uniform(0.08, 0.14), height * rng.uniform(0.2, 0.32)
    draw.rectangle((width * (0.5 - neck), cap * 0.8, width * (0.5 + neck), shoulder + 4), fill=_shade(body, 0.9))
    draw.rounded_rectangle((0, shoulder * 0.75, width - 1, height - 1), radius=width * 0.18, fill=body)
    spread = width * (neck + 0.04)
    draw.rounded_rectangle((width / 2 - spread, 0, width / 2 + spread, cap), radius=4, fill=_colour(rng, PRINT, 30))
    label = _colour(rng, PRINT, 30)
    top, bottom = height * rng.uniform(0.4, 0.48), height * rng.uniform(0.78, 0.92)
    draw.rectangle((0, top, width, bottom), fill=label)
    _print_lines(draw, rng, (width * 0.18, top + 6, width * 0.82, bottom - 8), _ink(label))
    return _across(tile, np.array([0.45, 0.85, 1.2, 1.35, 1.1, 0.9, 0.7, 0.4]))


def paint_jar(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A jar or can: a lid as wide as the body, seen a little from above."""
    tile = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(tile)
    body, lid = _colour(rng, PRINT), _colour(rng, PRINT, 30)
    rim = min(height * 0.14, width * 0.2)
    draw.ellipse((0, height - 1 - 2 * rim, width - 1, height - 1), fill=_shade(body, 0.8))
    draw.rectangle((0, rim, width - 1, height - 1 - rim), fill=body)
    draw.rectangle((0, rim, width - 1, height * 0.2), fill=lid)
    draw.ellipse((0, 0, width - 1, 2 * rim), fill=_shade(lid, 1.2), outline=_shade(lid, 0.6), width=3)
    label = _colour(rng, PRINT, 30)
    draw.rectangle((0, height * 0.34, width, height * 0.8), fill=label)
    _print_lines(draw, rng, (width * 0.2, height * 0.4, width * 0.8, height * 0.72), _ink(label))
    return _across(tile, np.array([0.4, 0.8, 1.15, 1.35, 1.15, 0.95, 0.7, 0.4]))


def paint_ball(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A ball, lit from above."""
    side = min(width, height)
    colour = _colour(rng, PRINT[:6] + PRINT[7:11])
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    light = np.clip(1.25 - 0.75 * np.hypot(x + 0.25, y + 0.45), 0.3, 1.3)
    light *= 1 - 0.25 * (np.abs(np.sin(3 * np.arctan2(y, x) + 2 * y)) < rng.uniform(0.08, 0.2))
    pixels = np.clip(light[..., None] * np.array(colour), 0, 255).astype(np.uint8)
    disc = Image.new("L", (side, side))
    ImageDraw.Draw(disc).ellipse((0, 0, side - 1, side - 1), fill=255)
    ball = Image.fromarray(pixels, "RGB").convert("RGBA")
    ball.putalpha(disc)
    tile = Image.new("RGBA", (width, height))
    tile.paste(ball, ((width - side) // 2, height - side))
    return tile


PAINTERS: dict[str, Painter] = {
    "box": paint_box,
    "book": paint_book,
    "bag": paint_bag,
    "bottle": paint_bottle,
    "jar": paint_jar,
    "ball": paint_ball,
}


def shadow_of(tile: Image.Image, blur_px: float) -> Image.Image:
    """The soft shadow (an "L" mask) that a tile throws on what stands behind it."""
    return ImageChops.multiply(tile.getchannel("A"), Image.new("L", tile.size, 150)).filter(
        ImageFilter.GaussianBlur(blur_px)
    )
