"""Values that no browser sends: far out of range, of the wrong type, long, and made to harm."""

import json
import random

from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.state.common import is_array_value_field_name

TEXTS = (
    "", " ", "0", "-1", "1e999", "nan", "None", "true", "[]", "{}", "'; DROP TABLE runs;--", "../../../etc/passwd", "/etc/passwd",
    "![x](http://127.0.0.1:9/x)", "<script>alert(1)</script>", "\x1b[2J\x07", "\x00", "\u202eevil", "\ufeff", "a\nb\r\nc", "ε" * 5_000,
    "${jndi:ldap://x}", "%00", "=cmd|' /C calc'!A0", "x" * 20_000, "\U0001f600" * 50, "all", "mnist-5k", "__class__", "-rf", "my own-picture",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, -(2**31), 2**63 - 1, -(2**63), 10**6, 7, 50)
FRACTIONS = (
    0.0,
    -0.0,
    -1.0,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    0.15,
    1e17,
    255.5,
)
SELECTIONS = (
    "{", "[]", "3", "null", '"selection"', '["selection"]', '{"selection": 3}', '{"selection": null}', '{"selection": {}}', "[" * 50_000,
    *(
        json.dumps({"selection": {"rows": rows, "columns": [9], "cells": [[99, "x"]], "points": points, "point_indices": rows, "box": 3, "lasso": None}})
        for rows, points in (
            ([10**9], [{"customdata": 10**9}]), ([-1], [{"customdata": -1}]), (["x"], [{"customdata": "x"}]), ([None], [{"customdata": None}]),
            ([[1]], [{"customdata": [[1]]}]), (3, 3), ([1.5], [{"customdata": 1.5}]), ([True], [{"customdata": True}]), ({}, {"0": 1}),
            ([0, 1, 2, 3, 4, 5, 6, 7], [{"customdata": [at]} for at in range(300)]), ([2**70], [{}, 3, None, {"customdata": {}}]),
        )
    ),
    '{"chosen": 3}', '{"chosen": ["x"]}', '{"chosen": {"a": "b"}}', '{"value": 3}', '{"chosen": "no-such-network"}',
)  # fmt: skip
FILE = "file_uploader_state_value"
VALUES = {
    FILE: ("no-such-file", "", "../../etc/passwd"),
    "bool_value": (True, False),
    "trigger_value": (True,),
    "int_value": NUMBERS,
    "double_value": FRACTIONS,
    "string_value": (*TEXTS, *SELECTIONS),
    "json_value": (*SELECTIONS, *TEXTS),
    "json_trigger_value": SELECTIONS,
    "string_array_value": tuple(([], [text], [text, text]) for text in TEXTS),
    "double_array_value": ([], *([one] for one in FRACTIONS), [0.0, 1.0]),
    "int_array_value": ([], *([one] for one in NUMBERS)),
}


def hostile(name: str, kind: str | None, draw: random.Random) -> WidgetState:
    """A control's state as nobody's browser sends it: two in three of its own kind, the others of any."""
    state = WidgetState(id=name)
    if kind not in VALUES or draw.random() < 1 / 3:
        kind = draw.choice(list(VALUES))
    value = draw.choice(VALUES[kind])
    if kind == FILE:
        state.file_uploader_state_value.uploaded_file_info.add(file_id=value, name=value, size=2**40)
    elif is_array_value_field_name(kind):
        if isinstance(value, tuple):
            value = draw.choice(value)
        getattr(state, kind).data.extend(value)
    else:
        setattr(state, kind, value)
    return state
