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
    "table_none_filtered": "{layer}: no record in view passes the filter.",
    "unrecorded": "not recorded",
    "filter_is": "is",
    "filter_contains": "contains",
    "filter_least": "is at least",
    "filter_most": "is at most",
    "filter_since": "is on or after",
    "filter_until": "is on or before",
    "filter_empty": "is not recorded",
    "filter_unusable": "Give a value that this column can have.",
    "filter_remove": "Remove",
    "filter_remove_one": "Remove the condition: {condition}",
    "filter_count": "{layer}: {count} of {all} records pass the filter.",
    "filter_zero": "{layer}: no record passes the filter, so the map and the table show none.",
    "filter_gone": "{layer} is shown without a filter.",
    "years_until": "Up to the end of {year}",
    "years_none": "No day is recorded here.",
    "screen": "Map on the whole screen",
    "screen_whole": "The map fills the screen. Escape ends that.",
    "screen_left": "The map is back on its page.",
    "locate": "Show my place",
    "located": "The map shows your place, which is known to {feet} feet ({metres} metres).",
    "not_located_map": "Your place could not be found.",
    "measure": "Measure",
    "measure_none": "Click on the map to begin, or move it by keyboard and add its centre.",
    "measure_one": "One point. Add another.",
    "measure_length": "{count} points, {length} long.",
    "measure_area": "Closed: {acres} acres, {feet} square feet ({metres} square metres), {length} around.",
    "length_feet": "{feet} feet ({metres} metres)",
    "length_miles": "{miles} miles ({feet} feet, {metres} metres)",
    "copied": "The link is copied.",
    "copy_failed": "The link could not be copied. It is the address of this page.",
    "locating": "Looking for your place …",
    "not_located": "Your place could not be found. Type an address instead.",
}
"""By the name that a script asks for; the text is English and the key of the catalogues."""


def speech(language: Language) -> dict[str, str]:
    """Return all words of the scripts in a language."""
    return {name: language.text(text) for name, text in WORDS.items()}
