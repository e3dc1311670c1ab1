"""Where the report of a group is: its keys follow from the group's id alone, so that anyone can wait for them."""

from dataclasses import dataclass

from export_monitor.domain.model import JsonObject


def csv_key(group_id: str) -> str:
    """The key of a group's report for programs."""
    return f"groups/{group_id}/report.csv"


def html_key(group_id: str) -> str:
    """The key of a group's report for people."""
    return f"groups/{group_id}/report.html"


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """The report of a group in a bucket: how many rows it has, and the CSV's SHA-256 in hexadecimal digits."""

    bucket: str
    group_id: str
    rows: int
    csv_sha256: str

    def as_json(self) -> JsonObject:
        """The report as the group's event and its status name it."""
        return {
            "csv": f"s3://{self.bucket}/{csv_key(self.group_id)}",
            "html": f"s3://{self.bucket}/{html_key(self.group_id)}",
            "rows": self.rows,
            "csv_sha256": self.csv_sha256,
        }
