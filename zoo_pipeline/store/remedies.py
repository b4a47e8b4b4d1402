"""What a user can do about a Parquet file that cannot be read, by what is wrong with it and by whose file it is."""

from dataclasses import dataclass

GO_ON = "the command that began the run goes on by --resume"  # whether it trains or imports


@dataclass(frozen=True)
class Remedies:
    """The end of a message, a clause without a full stop.

    Attributes:
        missing: there is nothing.
        folder: it is a folder.
        damaged: it is no Parquet, truncated, or fails its checksums.
        unsupported: it is sound, but written in a way that pyarrow cannot read.
        unreadable: the system does not hand it over.
    """

    missing: str
    folder: str
    damaged: str
    unsupported: str
    unreadable: str = "see to it that it can be read, and try again"


OF_A_RUN = Remedies(
    missing=GO_ON,
    folder=f"move it away; {GO_ON}",
    damaged="zoo verify RUN says what mends it",
    unsupported="install the pyarrow that it was written with, or write it as docs/format.md says",
)
OF_ANYBODY = Remedies(
    missing="write it again, or leave it out",
    folder="name that folder itself for the files in it, or move it away",
    damaged="write it again, or leave it out",
    unsupported="write it again as ordinary Parquet, such as pyarrow.parquet.write_table does",
)
