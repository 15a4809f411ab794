"""The languages of the pages: words from gettext catalogues, numbers and days as CLDR writes them.

Catalogues are text files in ``maps/locale/`` and are read as they are, so there is nothing to compile and nothing
that can be older than its source. English is the language of the sources and needs none. What a registry says (titles
of layers, sentences of the report) is the city's own text: its translations stand in ``locale/`` beside the registry,
and what has none is shown as it is and marked as English.
"""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from pathlib import Path

from gisservice.errors import SettingsError

HEADER_BYTES_MAX = 1000
"""Of Accept-Language that is read; browsers send a tenth of it."""

_RANGE = re.compile(r"([a-z]{1,8})(?:-[a-z0-9-]*)?|\*", re.ASCII | re.IGNORECASE)
_FOLDER = Path(__file__).parent / "locale"


@dataclass(frozen=True)
class Language:
    """One language of the pages: its code for ``lang``, its CLDR locale, its own name, how its lines run, and what
    stands between the words of a list.
    """

    code: str
    locale: str
    name: str
    direction: str = "ltr"
    comma: str = ", "

    @cached_property
    def texts(self) -> gettext.NullTranslations:
        """The catalogue of the interface."""
        return gettext.NullTranslations() if self.code == "en" else read_catalogue(_FOLDER / f"{self.code}.po")

    @property
    def tag(self) -> str:
        """The locale as browsers spell it, for numbers and days that a script writes; digits are 0 to 9."""
        return f"{self.locale.replace('_', '-')}-u-nu-latn"

    def text(self, message: str, **values: object) -> str:
        """Return a text of the interface in this language, with values put in the places named ``%(name)s``."""
        translated = self.texts.gettext(message) if message else ""  # the text of "" is the catalogue's head
        return translated % values if values else translated

    def counted(self, one: str, many: str, count: int, **values: object) -> str:
        """Return the text for a number of things, with the number as ``%(count)s``."""
        return self.texts.ngettext(one, many, count) % {"count": self.number(count), **values}

    def number(self, value: float) -> str:
        """Write a number with thousands separated; six digits of one that is not whole.

        >>> ENGLISH.number(47174), ENGLISH.number(0.25)
        ('47,174', '0.25')
        """
        from babel import numbers

        plain = value if isinstance(value, int) else float(f"{value:.6g}")
        return numbers.format_decimal(plain, "#,##0.######", locale=self.locale, numbering_system="latn")

    def length(self, value: float, unit: str) -> str:
        """Write a length in a unit by its name in CLDR (``foot``, ``mile``, ``meter``, ``kilometer``).

        >>> ENGLISH.length(2000, "foot")
        '2,000 ft'
        """
        from babel import units

        plain = int(value) if value == int(value) else value
        return units.format_unit(plain, f"length-{unit}", "short", locale=self.locale, numbering_system="latn")

    def listed(self, words: Sequence[str]) -> str:
        """Write words one after the other, with the comma of the language.

        >>> ENGLISH.listed(["one", "two"])
        'one, two'
        """
        return self.comma.join(words)

    def isolated(self, word: str) -> str:
        """Isolate a word in a line from right to left, so that a name in Latin letters does not turn the line."""
        return f"\u2068{word}\u2069" if word and self.direction == "rtl" else word

    def day(self, value: date) -> str:
        """Write a day.

        >>> ENGLISH.day(date(2026, 11, 3))
        'November 3, 2026'
        """
        return self._day(value, "long")

    def weekday(self, value: date) -> str:
        """Write a day with its name.

        >>> ENGLISH.weekday(date(2026, 11, 3))
        'Tuesday, November 3, 2026'
        """
        return self._day(value, "full")

    def day_name(self, value: date) -> str:
        """Write the name of a day.

        >>> ENGLISH.day_name(date(2026, 11, 3))
        'Tuesday'
        """
        from babel import dates

        return dates.format_date(value, "EEEE", locale=self.locale)

    def moment(self, value: datetime) -> str:
        """Write a moment to the minute, in the zone it is given in (UTC for all that is published).

        >>> from datetime import UTC
        >>> ENGLISH.moment(datetime(2026, 11, 3, 9, 5, tzinfo=UTC))
        'November 3, 2026, 09:05 UTC'
        """
        return f"{self.day(value)}{self.comma}{value:%H:%M} {value:%Z}".rstrip()

    def _day(self, value: date, form: str) -> str:
        from babel import dates

        return dates.format_date(value, form, locale=self.locale)


ENGLISH = Language("en", "en_US", "English")
LANGUAGES = {
    language.code: language
    for language in (
        ENGLISH,
        Language("es", "es_US", "Español"),
        Language("am", "am", "አማርኛ", comma="፣ "),
        Language("ar", "ar", "العربية", "rtl", "، "),
    )
}
"""By code, in the order in which a page offers them."""


def chosen(code: str, accept_language: str) -> Language:
    """Return the language of a code, else the one a browser likes best (RFC 9110, 12.5.4), else English."""
    if code in LANGUAGES:
        return LANGUAGES[code]
    best, weight = ENGLISH, 0.0
    for part in accept_language[:HEADER_BYTES_MAX].split(","):
        name, _, parameter = part.strip().partition(";")
        match = _RANGE.fullmatch(name.strip())
        liked = _weight(parameter)
        if match and liked > weight and (match[1] or "").lower() in LANGUAGES:
            best, weight = LANGUAGES[match[1].lower()], liked
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    return float(value) if name.strip() == "q" and re.fullmatch(r"[01](\.[0-9]{0,3})?", value.strip()) else 0.0


@lru_cache(maxsize=64)
def read_catalogue(file: Path) -> gettext.NullTranslations:
    """Read a catalogue; a file that is not there is one without texts.

    Raises :class:`SettingsError` for a file that is no gettext catalogue.
    """
    from babel.messages import mofile, pofile

    if not file.is_file():
        return gettext.NullTranslations()
    try:
        with file.open("rb") as opened:
            catalogue = pofile.read_po(opened, abort_invalid=True)
    except (pofile.PoFileError, ValueError) as exc:
        raise SettingsError(f"The catalogue {file.name} cannot be read: {exc}; expected a gettext .po file.") from exc
    compiled = io.BytesIO()
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
