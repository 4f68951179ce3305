"""A public name that the reference shows must say what it is: without a docstring the strict build fails."""

import re
from typing import Any

from griffe import Class, Extension, Function, Module, Object
from mkdocs.plugins import get_plugin_logger

logger = get_plugin_logger("require_docstrings")

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):(`+)~?([^`]+)\1")


class RequireDocstrings(Extension):
    """Warns of each public module, class, function and method of the package without a docstring."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Look at one object, after its members are known; roles of reStructuredText become code."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(r"`\2`", obj.docstring.value)
        if not isinstance(obj, (Module, Class, Function)) or not obj.path.startswith("smearscan"):
            return
        if any(part.startswith("_") for part in obj.path.split(".")) or obj.has_docstring:
            return
        if isinstance(obj.parent, Function) or "overload" in {
            d.callable_path for d in getattr(obj, "decorators", ())
        }:
            return
        logger.warning("%s:%s: %s has no docstring", obj.relative_filepath, obj.lineno, obj.path)
