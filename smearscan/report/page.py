"""What all pages share: a template filled in, pictures inside it; the file needs nothing beside it."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MINUS = "\N{MINUS SIGN}"


def render(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Fill in a template, named by its path within the package; a name without a value is an error."""
    environment = Environment(
        loader=PackageLoader("smearscan", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(filters)
    return environment.get_template(template).render(**values)


def svg(picture: "Figure", salt: str) -> str:
    """Give a picture as a data address; the same picture gives the same bytes."""
    from matplotlib import rc_context  # late: the page of a scan draws nothing

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": salt}):
        picture.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def number_text(value: float | None, digits: int = 2) -> str:
    """Write a number, or ``open`` for the side on which an interval has no limit."""
    # a value rounded to zero has no sign
    return "open" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def plain_name(name: str) -> str:
    """Write the name of a class as words."""
    return name.replace("_", " ")
