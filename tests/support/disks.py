"""Small disks, filled to the last byte."""

from pathlib import Path


def fill(disk: Path) -> Path:
    """Use up all the room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
    return filler
