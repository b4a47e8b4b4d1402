"""The section of the report that holds names against weights."""

from typing import Any

from zoo_pipeline.report.content import ReportData

MOST_FINDINGS = 50


def claims_section(data: ReportData) -> dict[str, Any] | None:
    """How many models are what their names say, and what is said of the first others; None where nothing is claimed."""
    if data.claims is None:
        return None
    rows = data.claims.select(["name", "checkpoints", "agrees", "finding"]).to_pylist()
    differing = [row for row in rows if not row["agrees"]]
    return {
        "models": len(rows),
        "agree": len(rows) - len(differing),
        "differ": len(differing),
        "findings": differing[:MOST_FINDINGS],
    }
