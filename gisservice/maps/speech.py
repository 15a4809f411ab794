"""What the scripts of a page say: their words in the page's language, with ``{names}`` that the script fills in."""

from __future__ import annotations

from gisservice.maps.languages import Language

WORDS = {
    "map": "Map",
    "map_zoom_in": "Zoom in",
    "map_zoom_out": "Zoom out",
    "mark": "The place of this report",
    "failed_tiles": "Part of {layer} could not be loaded. Try again later.",
    "failed_records": "The records of {layer} could not be loaded. Try again later.",
    "shown": "{layer} is shown.",
    "hidden": "{layer} is hidden.",
    "here": "At this place",
    "loading": "Loading …",
    "nothing": "Nothing here",
    "nothing_more": "No feature of the shown layers is at this place.",
    "turned": "{index} of {count}",
    "more": "{count} more records of this layer are at this place.",
    "empty": "Not recorded: {names}.",
    "yes": "yes",
    "no": "no",
    "table_caption": "{layer}, in view on the map",
    "table_count": "{layer}: {shown} of {count} records in view are listed.",
    "table_none": "{layer}: no record is in view.",
    "table_sort": "Sort by {column}",
    "table_show": "Show {record} on the map",
    "unrecorded": "not recorded",
    "copied": "The link is copied.",
    "copy_failed": "The link could not be copied. It is the address of this page.",
    "locating": "Looking for your place …",
    "not_located": "Your place could not be found. Type an address instead.",
}
"""By the name that a script asks for; the text is English and the key of the catalogues."""


def speech(language: Language) -> dict[str, str]:
    """Return all words of the scripts in a language."""
    return {name: language.text(text) for name, text in WORDS.items()}
