"""The page on which a person reviews, corrects and signs a run; its source in TypeScript is ``web/``."""

from smearscan.report.review.write import Written, write_review

__all__ = ["Written", "write_review"]
