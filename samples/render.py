"""Renders bins: an image like one of a camera in front of a fabric pod, and its metadata.

Nothing here is a photograph. The same seed and count give the same image, byte for byte under the locked Pillow
and numpy. Every counted object stays in view: an arrangement that hides one is drawn again.
"""

import io
import json
import runpy
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from inventory.spreadsheets import write_rows

from .objects import PAINTERS, Rgb, shadow_of

SUPERSAMPLING = 1.5  # canvas pixels per image pixel
ATTEMPTS = 20  # with other products, if the first ones do not fit
MINIMUM_IN_VIEW = 0.4  # the share of an object's own area that must be visible
MINIMUM_AREA = 0.006  # the share of the canvas that an object must cover
TRAINING_SEEDS = 1_000_000  # training bins use seeds from here on, samples use seeds below
TRAINING_MIX = {0: 0.03, 1: 0.13, 2: 0.16, 3: 0.17, 4: 0.17, 5: 0.16, 6: 0.07, 7: 0.05, 8: 0.03, 9: 0.02, 10: 0.01}
HELD_OUT_SHARE = 0.125  # of a training set, marked "val" in its index
FABRIC: tuple[Rgb, ...] = ((222, 200, 112), (212, 190, 108), (226, 208, 130), (186, 176, 140))
STICKER: tuple[Rgb, ...] = ((52, 62, 120), (196, 74, 70), (110, 160, 206), (40, 92, 78), (230, 146, 90), (90, 54, 112))
ADJECTIVES = ("Quiet", "Amber", "Folded", "Northern", "Striped", "Pocket", "Travel", "Garden", "Winter", "Classic")
NOUNS = {
    "box": ("Tea Sampler", "Puzzle", "Lamp Kit", "Candle Set", "Cereal", "Card Game"),
    "book": ("Atlas", "Field Guide", "Cookbook", "Novel", "Workbook", "Anthology"),
    "bag": ("Cotton Shirt", "Sock Pack", "Cable Set", "Sponge Pack", "Scarf", "Craft Felt"),
    "bottle": ("Shampoo", "Dish Soap", "Lotion", "Vitamin Drops", "Floor Cleaner"),
    "jar": ("Peach Jam", "Protein Powder", "Paint Tin", "Drink Mix", "Coffee Tin"),
    "ball": ("Juggling Ball", "Handball", "Massage Ball", "Play Ball"),
}
SHAPES = {  # width and height of the front as shares of the bin's opening: (minimum, maximum) each
    "box": ((0.16, 0.5), (0.25, 0.85)),
    "book": ((0.06, 0.42), (0.4, 0.85)),
    "bag": ((0.2, 0.5), (0.28, 0.75)),
    "bottle": ((0.1, 0.2), (0.45, 0.85)),
    "jar": ((0.15, 0.3), (0.3, 0.7)),
    "ball": ((0.15, 0.34), (0.2, 0.4)),
}


@dataclass(frozen=True)
class Product:
    """A product: its kind, the seed of its front's appearance, and its size as shares of the bin's opening."""

    asin: str
    name: str
    kind: str
    appearance_seed: int
    width: float
    height: float
    depth: float


@dataclass(frozen=True)
class RenderedBin:
    """An image (RGB) and the products in it, one entry per object in view."""

    image: Image.Image
    objects: tuple[Product, ...]

    @property
    def count(self) -> int:
        """The number of objects in the image."""
        return len(self.objects)


@dataclass(frozen=True)
class _Placement:
    tile: Image.Image
    left: int
    top: int


@dataclass(frozen=True)
class _Opening:
    """The inside of the bin in canvas pixels. Objects stand on `floor`."""

    left: float
    top: float
    right: float
    floor: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.floor - self.top


class _Crowded(Exception):
    """No arrangement of the products keeps all of them in view."""


def render_bin(seed: int, count: int) -> RenderedBin:
    """Render a bin with `count` objects. The sides have 370 to 680 pixels.

    Raises ValueError if `count` is negative or above 16: more objects would hide each other.
    """
    if not 0 <= count <= 16:
        raise ValueError(f"count is {count}: a rendered bin shows 0 to 16 objects")
    for attempt in range(ATTEMPTS):
        try:
            return _render(np.random.default_rng((seed, count, attempt) if attempt else (seed, count)), count)
        except _Crowded:
            continue
    raise AssertionError(f"no choice of {count} products fits a bin")


def _render(rng: np.random.Generator, count: int) -> RenderedBin:
    products = _choose_products(rng, count)
    wide = rng.random() < 0.6
    long_side, short_side = rng.integers(480, 681), rng.integers(370, 500)
    width, height = (long_side, short_side) if wide else (short_side, long_side)
    canvas_size = (round(width * SUPERSAMPLING), round(height * SUPERSAMPLING))

    fabric = FABRIC[rng.integers(len(FABRIC))]
    canvas, opening = _draw_empty_bin(rng, canvas_size, fabric)
    for placement in _arrange(rng, products, opening, canvas_size):
        shadow = shadow_of(placement.tile, blur_px=canvas_size[0] / 90)
        offset = round(canvas_size[0] / 140)
        canvas.paste((18, 16, 14), (placement.left + offset, placement.top + offset), shadow)
        canvas.paste(placement.tile.convert("RGB"), (placement.left, placement.top), placement.tile.getchannel("A"))
    _draw_front(rng, canvas, opening, fabric)
    image = canvas.resize((int(width), int(height)), Image.Resampling.LANCZOS)
    return RenderedBin(_photograph(rng, image), products)


def _choose_products(rng: np.random.Generator, count: int) -> tuple[Product, ...]:
    units: list[Product] = []
    while len(units) < count:
        if units and rng.random() < 0.3:
            units.append(units[-1])
            continue
        kind = str(rng.choice(list(PAINTERS), p=[0.28, 0.22, 0.2, 0.12, 0.12, 0.06]))
        widths, heights = SHAPES[kind]
        name = f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS[kind])}"
        asin = "X0" + "".join(rng.choice(list("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"), 8))
        units.append(
            Product(
                asin, name, kind, int(rng.integers(2**32)),
                float(rng.uniform(*widths)), float(rng.uniform(*heights)), float(rng.uniform(0.15, 0.9)),
            )
        )  # fmt: skip
    return tuple(units)


def _draw_empty_bin(rng: np.random.Generator, size: tuple[int, int], fabric: Rgb) -> tuple[Image.Image, _Opening]:
    """Draw the back wall, the side walls and the floor. Returns the canvas and the space for objects."""
    width, height = size
    left, right = width * rng.uniform(0.02, 0.09), width * rng.uniform(0.91, 0.98)
    top, floor = height * rng.uniform(0.08, 0.16), height * rng.uniform(0.84, 0.9)
    inset = width * rng.uniform(0.03, 0.1)
    sill = height * rng.uniform(0.05, 0.14)
    back, side, ground = (_scaled(fabric, rng.uniform(*span)) for span in ((0.45, 0.85), (0.6, 1.0), (0.4, 0.75)))
    canvas = Image.new("RGB", size, back)
    draw = ImageDraw.Draw(canvas)
    near, far = ((left, floor), (right, floor)), ((right - inset, floor - sill), (left + inset, floor - sill))
    draw.polygon((*near, *far), fill=ground)
    draw.polygon(((0, 0), (left + inset, top), (left + inset, floor - sill), (left, floor), (0, height)), fill=side)
    draw.polygon(
        ((width, 0), (right - inset, top), (right - inset, floor - sill), (right, floor), (width, height)),
        fill=_scaled(side, rng.uniform(0.8, 1.0)),
    )
    canvas = canvas.filter(ImageFilter.GaussianBlur(3))
    return canvas, _Opening(left, top, right, floor)


def _arrange(
    rng: np.random.Generator, products: tuple[Product, ...], opening: _Opening, size: tuple[int, int]
) -> list[_Placement]:
    """The placement of each object, back to front. If an object is hidden, it tries again with less disorder."""
    if not products:
        return []
    for calm in np.linspace(0, 1, 40):
        style = "row" if calm > 0.7 else str(rng.choice(["row", "pile", "heap"], p=[0.45, 0.2, 0.35]))
        if style == "pile" and len(products) > 7:
            style = "heap"
        arrange = {"row": _stand_in_a_row, "pile": _lay_in_a_pile, "heap": _heap_in_two_rows}[style]
        placements = arrange(rng, products, opening, 1 - calm)
        if _all_in_view(placements, size):
            return placements
    raise _Crowded


def _stand_in_a_row(
    rng: np.random.Generator,
    products: tuple[Product, ...],
    opening: _Opening,
    disorder: float,
    stretch: float = 1.0,
) -> list[_Placement]:
    """Objects side by side on the floor. `disorder` (0 to 1) tilts them and lets them overlap."""
    widths = np.array([product.width for product in products])
    widths = widths * min(rng.uniform(0.9, 1.3), 0.97 / widths.sum())
    gaps = rng.dirichlet(np.ones(len(products) + 1)) * (1 - widths.sum())
    overlap = disorder * rng.uniform(0, 0.1)
    placements, x = [], opening.left
    for product, share, gap in zip(products, widths * (1 + overlap), gaps, strict=False):
        x += gap * opening.width
        tall = product.height * rng.uniform(0.95, 1.05) * stretch
        base = opening.floor - opening.height * rng.uniform(0, 0.05)
        tilt = disorder * rng.normal(0, 5)
        placements.append(
            _place(product, share * opening.width, tall * opening.height, x + share * opening.width / 2, base, tilt)
        )
        x += share * opening.width * (1 - overlap)
    return [placements[i] for i in rng.permutation(len(placements))]


def _lay_in_a_pile(
    rng: np.random.Generator, products: tuple[Product, ...], opening: _Opening, disorder: float
) -> list[_Placement]:
    """Objects lying on each other."""
    thick = np.array([0.25 + product.width for product in products])
    thick = thick * min(0.45, 0.92 / thick.sum())
    placements, base = [], opening.floor
    for product, share in zip(products, thick, strict=True):
        across = opening.width * np.clip(product.height * rng.uniform(0.9, 1.3), 0.35, 0.9)
        x = opening.left + across / 2 + (opening.width - across) * rng.random()
        tall = share * opening.height
        placements.append(_place(product, across, tall * 1.02, x, base, disorder * rng.normal(0, 2)))
        base -= tall
    return placements


def _heap_in_two_rows(
    rng: np.random.Generator, products: tuple[Product, ...], opening: _Opening, disorder: float
) -> list[_Placement]:
    """A row at the back that is visible above a lower row at the front."""
    behind = int(rng.integers((len(products) + 1) // 2, len(products) + 1))
    back = _Opening(opening.left, opening.top, opening.right, opening.floor - opening.height * rng.uniform(0.12, 0.3))
    placements = _stand_in_a_row(rng, products[:behind], back, disorder, stretch=0.95)
    if behind < len(products):
        placements += _stand_in_a_row(rng, products[behind:], opening, disorder * 2, stretch=rng.uniform(0.4, 0.6))
    return placements


def _place(product: Product, width: float, height: float, middle: float, base: float, tilt_deg: float) -> _Placement:
    """An object of `width` x `height` canvas pixels whose foot is centred on (middle, base)."""
    appearance = np.random.default_rng(product.appearance_seed)
    tile = PAINTERS[product.kind](appearance, max(14, round(width)), max(14, round(height)))
    if abs(tilt_deg) > 0.5:
        tile = tile.rotate(tilt_deg, Image.Resampling.BICUBIC, expand=True)
    return _Placement(tile, round(middle - tile.width / 2), round(base - tile.height))


def _all_in_view(placements: list[_Placement], size: tuple[int, int], step: int = 4) -> bool:
    owner = np.full((size[1] // step + 1, size[0] // step + 1), -1)
    areas = []
    for index, placement in enumerate(placements):
        alpha = np.asarray(placement.tile.getchannel("A"))[::step, ::step] > 127
        areas.append(alpha.sum())
        rows, columns = np.nonzero(alpha)
        rows, columns = rows + placement.top // step, columns + placement.left // step
        inside = (rows >= 0) & (columns >= 0) & (rows < owner.shape[0]) & (columns < owner.shape[1])
        owner[rows[inside], columns[inside]] = index
    in_view = np.array([(owner == index).sum() for index in range(len(placements))])
    return bool(np.all(in_view >= MINIMUM_IN_VIEW * np.array(areas)) and np.all(in_view >= MINIMUM_AREA * owner.size))


def _draw_front(rng: np.random.Generator, canvas: Image.Image, opening: _Opening, fabric: Rgb) -> None:
    """Draw what hangs in front of the objects: the hems with their stickers, and elastic bands."""
    width, height = canvas.size
    draw = ImageDraw.Draw(canvas)
    hem = _scaled(fabric, rng.uniform(0.95, 1.1))
    sag = height * rng.uniform(0, 0.02)
    xs = np.linspace(0, width, 20)
    bow = sag * np.sin(np.linspace(0, np.pi, 20))
    lower, upper = opening.floor + height * 0.02 + bow, opening.top * 0.65 + bow * 0.5
    draw.polygon([*zip(xs, lower, strict=True), (width, height), (0, height)], fill=hem)
    draw.polygon([*zip(xs, upper, strict=True), (width, 0), (0, 0)], fill=_scaled(hem, 0.97))
    draw.line([*zip(xs, lower, strict=True)], fill=_scaled(hem, 0.7), width=3)
    draw.line([*zip(xs, upper, strict=True)], fill=_scaled(hem, 0.6), width=3)
    if rng.random() < 0.8:
        _draw_sticker(rng, canvas, width * rng.uniform(0.2, 0.6), opening.floor + height * 0.045, width * 0.24)
    if rng.random() < 0.5:
        _draw_sticker(rng, canvas, width * rng.uniform(0.2, 0.6), -height * 0.03, width * 0.24)
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.15, 0.3, 0.4, 0.15]))):
        _draw_elastic(rng, canvas, opening.top + opening.height * rng.uniform(0.05, 0.8), opening.height)


def _draw_sticker(rng: np.random.Generator, canvas: Image.Image, left: float, top: float, width: float) -> None:
    """Draw the location label of a bin: a digit and a letter, and a pattern like a square code."""
    draw = ImageDraw.Draw(canvas)
    tall = width * 0.3
    draw.rectangle((left, top, left + width, top + tall), fill=STICKER[rng.integers(len(STICKER))])
    paper = (left + width * 0.04, top + tall * 0.15, left + width * 0.55, top + tall * 0.85)
    draw.rectangle(paper, fill=(240, 240, 232))
    text = f"{rng.integers(1, 5)}{chr(ord('A') + int(rng.integers(10)))}"
    draw.text((left + width * 0.1, top + tall * 0.05), text, fill=(20, 20, 20), font=ImageFont.load_default(tall * 0.7))
    modules = rng.random((9, 9)) < 0.5
    code = Image.fromarray((modules * 230).astype(np.uint8)).resize((round(tall * 0.8),) * 2, Image.Resampling.NEAREST)
    canvas.paste(code.convert("RGB"), (round(left + width * 0.66), round(top + tall * 0.1)))


def _draw_elastic(rng: np.random.Generator, canvas: Image.Image, top: float, opening_height: float) -> None:
    """Draw an elastic band: many pale threads across the whole width, with the objects visible between them."""
    layer = Image.new("L", canvas.size)
    draw = ImageDraw.Draw(layer)
    xs = np.linspace(0, canvas.width, 12)
    slope, bow = rng.normal(0, 0.01) * canvas.width, rng.normal(0, 0.012) * opening_height
    threads = int(rng.integers(6, 22))
    pitch = opening_height * rng.uniform(0.012, 0.02)
    strength = int(rng.integers(70, 170))
    for thread in range(threads):
        ys = top + thread * pitch + slope * np.linspace(0, 1, 12) + bow * np.sin(np.linspace(0, np.pi, 12))
        draw.line([*zip(xs, ys, strict=True)], fill=strength, width=max(1, round(pitch * 0.4)))
    canvas.paste((226, 216, 200), mask=layer)


def _photograph(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Add the effects of a camera: pale colours, uneven light, a colour cast, exposure, a little blur and noise."""
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.55, 0.9))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    pixels = np.asarray(image).astype(np.float32)
    rows, columns, _ = pixels.shape
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    lamp = rng.uniform(0.15, 0.85, 2)
    light = rng.uniform(0.62, 1.1) * (1.12 - rng.uniform(0.2, 0.6) * np.hypot(x - lamp[0], y - lamp[1]))
    cast = np.array([rng.uniform(0.95, 1.08), 1.0, rng.uniform(0.82, 1.02)])
    pixels = pixels * light[..., None] * cast + rng.normal(0, rng.uniform(1, 5), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _scaled(colour: Rgb, factor: float) -> Rgb:
    r, g, b = (min(255, max(0, round(channel * factor))) for channel in colour)
    return r, g, b


def metadata_of(rendered: RenderedBin, recorded: int) -> dict[str, object]:
    """The metadata of a bin with `recorded` objects, in the schema of the public data set.

    A record below the true count lacks objects of the last products. A record above it has more of the last product.
    """
    objects = list(rendered.objects[:recorded])
    spare = rendered.objects[-1] if rendered.objects else _choose_products(np.random.default_rng(recorded), 1)[0]
    objects += [spare] * (recorded - len(objects))
    items = {}
    for product, quantity in Counter(objects).items():
        inches = {"height": product.height * 14, "length": product.depth * 16, "width": product.width * 20}
        items[product.asin] = {
            "asin": product.asin,
            **{side: {"unit": "IN", "value": round(value, 10)} for side, value in inches.items()},
            "name": product.name,
            "normalizedName": product.name,
            "quantity": quantity,
            "weight": {"unit": "pounds", "value": round(0.012 * np.prod(list(inches.values())), 10)},
        }
    return {"BIN_FCSKU_DATA": items, "EXPECTED_QUANTITY": recorded}


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """The image as a baseline JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def as_json(value: object) -> str:
    """JSON in the format of the public bucket: indented by four spaces, keys sorted."""
    return json.dumps(value, indent=4, sort_keys=True) + "\n"


def _write_training_bin(out: Path, seed: int) -> int:
    rng = np.random.default_rng((seed, 7))
    count = int(rng.choice(list(TRAINING_MIX), p=list(TRAINING_MIX.values())))
    rendered = render_bin(seed, count)
    (out / "bin-images" / f"r{seed}.jpg").write_bytes(jpeg(rendered.image, int(rng.integers(55, 92))))
    (out / "metadata" / f"r{seed}.json").write_text(as_json(metadata_of(rendered, count)))
    return count


def write_training_set(out: Path, size: int, seed: int) -> None:
    """Write `size` bins with correct records below `out` in the inbox layout, and `index.csv`.

    The columns are id, expected_quantity and split. The last eighth has the split "val". The seeds differ from those of
    the committed samples.
    """
    for folder in ("bin-images", "metadata"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    seeds = [TRAINING_SEEDS * (1 + seed) + index for index in range(size)]
    with ProcessPoolExecutor() as pool:
        counts = list(pool.map(partial(_write_training_bin, out), seeds, chunksize=16))
    first_held_out = size * (1 - HELD_OUT_SHARE)
    rows = (
        {"id": f"r{seed}", "expected_quantity": count, "split": "val" if index >= first_held_out else "train"}
        for index, (seed, count) in enumerate(zip(seeds, counts, strict=True))
    )
    with (out / "index.csv").open("w", newline="", encoding="utf-8") as file:
        write_rows(file, ("id", "expected_quantity", "split"), rows)


if __name__ == "__main__":
    # The catalogue imports this module, so an import of `samples.__main__` here would be a circle.
    runpy.run_module("samples", run_name="__main__")
