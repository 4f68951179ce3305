"""Files that other tools open: COCO, YOLO, QuPath's GeoJSON, Parquet, FHIR, and the run's manifest."""

from smearscan.report.exports.write import KINDS, Exported, write_exports

__all__ = ["KINDS", "Exported", "write_exports"]
