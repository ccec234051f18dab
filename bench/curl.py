"""A yardstick of copies: ``curl export | curl import`` of the same VHD, as a careful person would type it."""

import subprocess

from bench.side import Side

# The pool takes no chunked encoding, and its certificate is its own; no configuration file is read.
_QUIET = ["curl", "-q", "-sfk"]


def upload(url: str, length: int) -> list[str]:
    """The command that sends just so many bytes of its input there."""
    return [*_QUIET, "-T", "-", "-H", "Transfer-Encoding:", "-H", "Expect:", "-H", f"Content-Length: {length}", url]


def pipe(source: Side, source_vdi: str, target: Side, target_vdi: str, length: int) -> None:
    """Run it to its end; raises unless the target's task succeeded."""
    with target.importing(target_vdi, "vhd") as url:
        join([*_QUIET, source.export_url(source_vdi)], upload(url, length))


def join(reading: list[str], writing: list[str]) -> None:
    """``reading | writing``, to the end of both."""
    with (
        subprocess.Popen(reading, stdout=subprocess.PIPE) as reader,
        subprocess.Popen(writing, stdin=reader.stdout, stdout=subprocess.DEVNULL),
    ):
        assert reader.stdout is not None
        reader.stdout.close()
