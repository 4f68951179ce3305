"""Letters on pictures: the font, and text cut to its place."""

from PIL import ImageFont


def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font at a size in px: none need be installed."""
    found = ImageFont.load_default(size)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


def shortened(text: str, letters: ImageFont.FreeTypeFont, width: float, from_start: bool = False) -> str:
    """Cut text to a width in px, at its end; with `from_start` at its start, for numbers stand at the end."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(f"{text}...") > width:
        text = text[1:] if from_start else text[:-1]
    return f"...{text}" if from_start else f"{text}..."
