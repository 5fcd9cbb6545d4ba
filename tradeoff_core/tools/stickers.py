"""Draw the picture stickers in assets/stickers/: our own drawings, 24 x 24 RGBA.

python -m tradeoff_core.tools.stickers
"""

from PIL import Image, ImageDraw

from tradeoff_core.common.paths import STICKERS

SIDE, SCALE = 24, 8  # drawn large, then shrunk, for smooth edges


def heart(pen: ImageDraw.ImageDraw) -> None:
    """A red heart."""
    pen.ellipse((8, 24, 100, 116), fill="#e02030")
    pen.ellipse((92, 24, 184, 116), fill="#e02030")
    pen.polygon([(16, 92), (176, 92), (96, 180)], fill="#e02030")


def smiley(pen: ImageDraw.ImageDraw) -> None:
    """A yellow face."""
    pen.ellipse((8, 8, 184, 184), fill="#ffd000")
    pen.ellipse((52, 56, 76, 88), fill="black")
    pen.ellipse((116, 56, 140, 88), fill="black")
    pen.arc((48, 64, 144, 148), 20, 160, fill="black", width=14)


def flower(pen: ImageDraw.ImageDraw) -> None:
    """A white flower with a yellow heart."""
    for x, y in ((96, 40), (149, 79), (129, 141), (63, 141), (43, 79)):
        pen.ellipse((x - 36, y - 36, x + 36, y + 36), fill="white")
    pen.ellipse((66, 66, 126, 126), fill="#ffb000")


def main() -> None:
    """Write every sticker."""
    for draw in (heart, smiley, flower):
        picture = Image.new("RGBA", (SIDE * SCALE, SIDE * SCALE))
        draw(ImageDraw.Draw(picture))
        picture.resize((SIDE, SIDE), Image.Resampling.BOX).save(STICKERS / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
