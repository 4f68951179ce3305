"""The cells of each slide as a Parquet file of its own, with the run's facts in its metadata."""

import json
from pathlib import Path
from typing import Any

from smearscan.differential.slide_report import SlideReport
from smearscan.errors import ConfigError
from smearscan.io.atomic import replacing
from smearscan.report.exports.names import FileNames
from smearscan.report.run_facts import RunFacts, field_name
from smearscan.results import (
    CELL_COLUMNS,
    FINE_COLUMNS,
    STAIN_COLUMNS,
    FieldFailure,
    FieldResult,
    cells_frame,
)
from smearscan.taxonomy import NOTICE

_TEXT = ("slide", "field", "type", "calibration", "fine_type")


class ParquetExport:
    """Writes ``parquet/SLIDE.parquet``: the columns of ``cells.csv``, of the same names, with their types.

    All have one schema, so that the folder opens as one table; a slide without a cell has a file without a
    row.
    """

    missing = ()

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ConfigError("--export parquet needs pyarrow: pip install pyarrow") from error
        self._folder, self._root, self._facts = folder / "parquet", root, facts
        self._names = FileNames()
        self.columns = [
            *CELL_COLUMNS,
            *(f"p_{name}" for name in facts.classes),
            "um_per_px",
            "calibration",
            "id",
            *(FINE_COLUMNS if facts.has_fine_types else ()),
            *STAIN_COLUMNS,
        ]
        told = {"smearscan": json.dumps(facts.as_json()), "notice": NOTICE}
        fields = [(name, pa.string() if name in _TEXT else pa.float64()) for name in self.columns]
        self._schema: Any = pa.schema(fields, metadata=told)
        self._pa: Any = pa
        self._pq: Any = pq

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide."""
        table = cells_frame(results, self._root, self._facts.recalibrated_by)
        read = [r for r in results if isinstance(r, FieldResult)]
        names = [field_name(r.path, self._root) for r in read for _ in range(len(r))]
        table = table.assign(field=names).reindex(columns=self.columns)
        cells = self._pa.Table.from_pandas(table, self._schema, preserve_index=False)
        with replacing(self._folder / f"{self._names(report.slide_id)}.parquet") as part:
            self._pq.write_table(cells, part, compression="zstd")

    def close(self) -> list[Path]:
        """Return the folder."""
        return [self._folder]
