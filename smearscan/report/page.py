"""What all pages share: a template filled in, pictures inside it; the file needs nothing beside it."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure


def render(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Fill in a template of this package; a name that it uses and nobody gave is an error."""
    environment = Environment(
        loader=PackageLoader("smearscan", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(filters)
    return environment.get_template(template).render(**values)


def svg(picture: Figure, salt: str) -> str:
    """Give a picture as a data address; the same picture gives the same bytes."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": salt}):
        picture.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
