"""Files that other tools open: COCO, YOLO, QuPath's GeoJSON, Parquet, FHIR, contact sheets, the manifest."""

from smearscan.report.exports.write import KINDS, NEED_PICTURES, Exported, Exports, write_exports

__all__ = ["KINDS", "NEED_PICTURES", "Exported", "Exports", "write_exports"]
