"""The page of all findings is what their table says."""

from pathlib import Path

import pytest

from xo_warmig.engine import findings_page
from xo_warmig.model.finding_codes import CODES, SUBJECTS


def test_the_page_is_not_stale(capsys: pytest.CaptureFixture[str]) -> None:
    """As the table stands."""
    assert findings_page.main(["--check"]) == 0, capsys.readouterr().err


def test_every_code_has_one_row(tmp_path: Path) -> None:
    """With its severity; a page that lacks one is stale."""
    rows = [line.strip("| ").split(" | ") for line in findings_page.page().splitlines() if line.startswith("| `")]
    assert {row[0].strip("`"): row[1] for row in rows} == {code: str(each.severity) for code, each in CODES.items()}
    assert len(rows) == len(CODES) == sum(map(len, SUBJECTS.values()))
    file = tmp_path / "findings.md"
    file.write_text(findings_page.page().replace("`CLOCK_SKEW`", ""))
    assert findings_page.main(["--check", "--file", str(file)]) == 1
    assert findings_page.main(["--write", "--file", str(file)]) == 0
    assert findings_page.main(["--check", "--file", str(file)]) == 0
