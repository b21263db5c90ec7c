"""How tables write a value that is not known."""

from __future__ import annotations

# as pandas, R, spreadsheets and the UCI archive do
GAPS = frozenset(("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-nan", "-NaN", "null", "NULL", "None"))
REMEDY = "`missing: mean` under data fills it, `missing: mask` leaves it out of the loss; or remove the row, or the column (columns)"
