"""Texts in a CSV that look like values, and what each is: one list for the tests and for docs/dirty-data.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from perennial.definitions import Column


@dataclass(frozen=True)
class Rule:
    """The text is quarantined by this rule."""

    name: str


TYPE, FINITE, SCALE, GAP, AMBIGUOUS, ALLOWED = map(Rule, ("type", "finite", "scale", "gap", "ambiguous", "allowed"))

INTEGER = Column(type="integer", nullable=True)
DOUBLE = Column(type="double", nullable=True)
DECIMAL = Column(type="decimal", precision=10, scale=2, nullable=True)
BOOLEAN = Column(type="boolean", nullable=True)
STRING = Column(type="string", nullable=True)
CATEGORICAL = Column(type="categorical", allowed=("a", "b"), nullable=True)
TIMESTAMP = Column(type="timestamp", nullable=True)
MOMENT = Column(type="timestamptz", nullable=True)
BERLIN = Column(type="timestamptz", zone="Europe/Berlin", nullable=True)
EARLIER = Column(type="timestamptz", zone="Europe/Berlin", ambiguous="earlier", nullable=True)
LATER = Column(type="timestamptz", zone="Europe/Berlin", ambiguous="later", nullable=True)
ISO_DATE = Column(type="date", nullable=True)
DAY_FIRST = Column(type="date", format="%d/%m/%Y", nullable=True)

SAID = {
    INTEGER.fingerprint: "integer",
    DOUBLE.fingerprint: "double",
    DECIMAL.fingerprint: "decimal, precision 10, scale 2",
    BOOLEAN.fingerprint: "boolean",
    STRING.fingerprint: "string",
    CATEGORICAL.fingerprint: "categorical, allowed a, b",
    TIMESTAMP.fingerprint: "timestamp",
    MOMENT.fingerprint: "timestamptz",
    BERLIN.fingerprint: "timestamptz, zone Europe/Berlin",
    EARLIER.fingerprint: "the same, ambiguous = earlier",
    LATER.fingerprint: "the same, ambiguous = later",
    ISO_DATE.fingerprint: "date",
    DAY_FIRST.fingerprint: "date, format %d/%m/%Y",
}
"""Column to what the page calls it."""

VALUES: tuple[tuple[Column, str, object, str], ...] = (
    (INTEGER, "00123", 123, "leading zeros; declare `string` if they mean something"),
    (INTEGER, "+5", 5, ""),
    (INTEGER, "5.0", 5, "whole"),
    (INTEGER, "1e3", 1000, "whole"),
    (INTEGER, " 7 ", 7, "spaces around"),
    (INTEGER, "-0", 0, ""),
    (INTEGER, "9223372036854775807", 2**63 - 1, "the largest of 64 bits"),
    (INTEGER, "9223372036854775808", TYPE, "one more"),
    (INTEGER, "9" * 5000, TYPE, "5,000 digits"),
    (INTEGER, "1.5", TYPE, "never rounded"),
    (INTEGER, "1_000", TYPE, "what Python and bare casts take"),
    (INTEGER, "0x1F", TYPE, ""),
    (INTEGER, "1,5", TYPE, "quoted in the file"),
    (INTEGER, "5 000", TYPE, ""),
    (INTEGER, "NA", TYPE, 'unless `null = ["", "NA"]`'),
    (INTEGER, "inf", TYPE, ""),
    (INTEGER, "\u0663", TYPE, "Arabic-Indic digit"),
    (INTEGER, "\uff15", TYPE, "full-width digit"),
    (INTEGER, "\u00a05", TYPE, "non-breaking space"),
    (INTEGER, "\u200f5", TYPE, "right-to-left mark"),
    (INTEGER, "\u22125", TYPE, "minus sign U+2212"),
    (INTEGER, "1\uff0c5", TYPE, "full-width comma"),
    (INTEGER, "", None, "absent"),
    (DOUBLE, "1e3", 1000.0, ""),
    (DOUBLE, ".5", 0.5, ""),
    (DOUBLE, "5.", 5.0, ""),
    (DOUBLE, "inf", FINITE, ""),
    (DOUBLE, "-Infinity", FINITE, ""),
    (DOUBLE, "nan", FINITE, ""),
    (DOUBLE, "1e400", FINITE, "beyond a double"),
    (DOUBLE, "1_000.5", TYPE, ""),
    (DOUBLE, "0x1p3", TYPE, ""),
    (DOUBLE, "1,5", TYPE, "decimal comma"),
    (DOUBLE, "\u0663.\u0665", TYPE, "Arabic-Indic digits"),
    (DOUBLE, "$5", TYPE, ""),
    (DOUBLE, "5%", TYPE, ""),
    (DECIMAL, "12.5", Decimal("12.50"), ""),
    (DECIMAL, "12.500", Decimal("12.50"), "zeros behind the scale"),
    (DECIMAL, "12.505", SCALE, "never rounded"),
    (DECIMAL, "123456789.00", TYPE, "nine digits before the point, where eight fit"),
    (DECIMAL, "1e2", TYPE, "an exponent is no decimal"),
    (DECIMAL, "NaN", TYPE, ""),
    (BOOLEAN, "Yes", True, ""),
    (BOOLEAN, "0", False, ""),
    (BOOLEAN, "2", TYPE, ""),
    (BOOLEAN, "ja", TYPE, ""),
    (TIMESTAMP, "2019-01-31T08:00:00Z", datetime(2019, 1, 31, 8), ""),
    (TIMESTAMP, "2019-01-31", datetime(2019, 1, 31), "midnight"),
    (TIMESTAMP, "2019-01-31 08:00:00+02:00", TYPE, "an offset needs `timestamptz`"),
    (TIMESTAMP, "13/01/2019", TYPE, "say `format` for it"),
    (TIMESTAMP, "2019-02-29 00:00:00", TYPE, "no such day"),
    (TIMESTAMP, "2016-12-31 23:59:60", TYPE, "leap second"),
    (TIMESTAMP, "0000-01-01 00:00:00", TYPE, "there is no year 0"),
    (TIMESTAMP, "9999-12-31 23:59:59", datetime(9999, 12, 31, 23, 59, 59), "the last year"),
    (TIMESTAMP, "44444-01-01 00:00:00", TYPE, ""),
    (TIMESTAMP, "44444", TYPE, "a spreadsheet's day number"),
    (TIMESTAMP, "1546300800", TYPE, "seconds since 1970"),
    (TIMESTAMP, "2019-01-31 08:00:00.123456789", TYPE, "finer than a microsecond"),
    (TIMESTAMP, "epoch", TYPE, "what bare casts take"),
    (TIMESTAMP, "infinity", TYPE, "what bare casts take"),
    (TIMESTAMP, "\uff12\uff10\uff11\uff19-01-31", TYPE, "full-width digits"),
    (MOMENT, "2019-01-31 08:00:00+02:00", datetime(2019, 1, 31, 6), "UTC"),
    (MOMENT, "2019-01-31 08:00:00", TYPE, "no offset, and no `zone` in the contract"),
    (BERLIN, "2019-07-01 12:00:00", datetime(2019, 7, 1, 10), "UTC"),
    (BERLIN, "2019-10-27 02:30:00+01:00", datetime(2019, 10, 27, 1, 30), "its offset says which"),
    (BERLIN, "2019-03-31 02:30:00", GAP, "summer time skips it"),
    (BERLIN, "2019-10-27 02:30:00", AMBIGUOUS, "it comes twice"),
    (EARLIER, "2019-10-27 02:30:00", datetime(2019, 10, 27, 0, 30), "UTC"),
    (LATER, "2019-10-27 02:30:00", datetime(2019, 10, 27, 1, 30), "UTC"),
    (ISO_DATE, "2019-01-13", date(2019, 1, 13), ""),
    (ISO_DATE, "13/01/2019", TYPE, ""),
    (DAY_FIRST, "13/01/2019", date(2019, 1, 13), ""),
    (DAY_FIRST, "01/13/2019", TYPE, "there is no month 13"),
    (STRING, "NA", "NA", "text as any other"),
    (STRING, " x ", " x ", "spaces are kept"),
    (STRING, "=1+1", "=1+1", "never computed"),
    (STRING, "e\u0301", "e\u0301", "not normalised"),
    (STRING, "\u202eabc", "\u202eabc", "right-to-left override, kept"),
    (CATEGORICAL, "a", "a", ""),
    (CATEGORICAL, "A", ALLOWED, ""),
    (CATEGORICAL, "\u0430", ALLOWED, "Cyrillic a"),
)
"""Column, text, what it is (or the rule that it breaks), and a word on it."""
