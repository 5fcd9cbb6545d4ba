"""Whether plain figures are what plotly's own classes, which check every value, would send."""

import base64
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
from plotly.basedatatypes import BaseFigure


def sent(figure: BaseFigure) -> Any:
    """What a browser gets of a figure but its theme, each number as one."""
    shown = json.loads(pio.to_json(figure.to_dict(), validate=False))
    shown["layout"].pop("template", None)
    return _plain(shown)


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and "bdata" in value:
        numbers = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]))
        shape = [int(length) for length in str(value.get("shape", numbers.size)).split(",")]
        return _plain(numbers.reshape(shape).tolist())
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return round(float(value), 9) if isinstance(value, int | float) else value


def assert_as_plotly_sends(figure: BaseFigure) -> None:
    """Raise ValueError for what plotly does not know, AssertionError for what it would send otherwise."""
    assert sent(figure) == sent(go.Figure(figure.to_dict()))
