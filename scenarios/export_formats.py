"""What a timeline can be exported as, by name; apart from the writers, for the command line to know at once."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """Of a file."""

    PERFETTO = "perfetto"
    CSV = "csv"
    PARQUET = "parquet"

    def file_name(self, name: str) -> str:
        """That of an export of the timeline `name`, unless another is wished for."""
        return f"{name}.{_ENDINGS[self]}"


_ENDINGS = {Format.PERFETTO: "perfetto.json.gz", Format.CSV: "ops.csv", Format.PARQUET: "ops.parquet"}
