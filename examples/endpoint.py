"""An endpoint that names the cells of a photograph.

    python examples/endpoint.py

    curl -F field=@field.jpg http://127.0.0.1:5000/analyze

It answers on this machine alone. For a network put a server with authentication before it: photographs of
patients are personal data.
"""

import io
from threading import Lock
from typing import Any

from flask import Flask, request
from PIL import Image, UnidentifiedImageError

from smearscan import SmearscanError, SmearScanner


def application(scanner: SmearScanner) -> Flask:
    """One scanner for all requests, one request at a time: it uses every core by itself."""
    app, busy = Flask("smearscan"), Lock()
    app.config["MAX_CONTENT_LENGTH"] = 64 << 20

    @app.post("/analyze")
    def analyze() -> tuple[dict[str, Any], int]:
        if "field" not in request.files:
            return {"error": "send a photograph as the form's file 'field'"}, 400
        try:
            picture = Image.open(io.BytesIO(request.files["field"].read()))
            with busy:
                result = scanner.analyze(picture)
        except (SmearscanError, UnidentifiedImageError, OSError) as error:
            return {"error": str(error)}, 422
        cells = [
            {"type": c.type, "probability": round(c.type_probability, 4), "xyxy": c.xyxy} for c in result
        ]
        told = {"um_per_px": result.scale.um_per_px, "ruler": result.scale.source, "weights": scanner.weights}
        return {"cells": cells, **told, "notice": "research use only, never a diagnosis"}, 200

    return app


if __name__ == "__main__":
    application(SmearScanner()).run(host="127.0.0.1", port=5000)
