"""One self-contained HTML page about one analysed run: tables and arrays in, a string out."""

from zoo_pipeline.report.content import ReportData
from zoo_pipeline.report.embedding import principal_components
from zoo_pipeline.report.page import render

__all__ = ["ReportData", "principal_components", "render"]
