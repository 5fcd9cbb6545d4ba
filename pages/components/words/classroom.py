"""The class's marks in words."""

TITLE = "The whole class"
EXPLAINED = (
    "Everybody marks the same hand on a device of their own, and reads the code below aloud or sends it. Paste all codes here, one a "
    "line. They are counted in this browser and sent nowhere."
)
FIXED = {
    "field": "Codes, one a line; a name may stand before each",
    "right": "images right",
    "people": "people",
    "chance": "chance",
    "vote": "majority's vote",
}
