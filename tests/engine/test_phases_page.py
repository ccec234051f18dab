"""The page of phases is what the engine goes by."""

from pathlib import Path

import pytest

from xo_warmig.engine import phases_page
from xo_warmig.model.phases import STAGES, TRANSITIONS, Phase


def test_what_is_committed_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """``make docs`` writes it anew."""
    assert phases_page.main(["--check"]) == 0, capsys.readouterr().err


def test_a_change_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that differs, and one that is missing."""
    file = tmp_path / "phases.md"
    assert phases_page.main(["--check", "--file", str(file)]) == 1
    assert phases_page.main(["--write", "--file", str(file)]) == 0
    assert phases_page.main(["--check", "--file", str(file)]) == 0
    file.write_text(file.read_text().replace("`pause` ", "", 1))
    assert phases_page.main(["--check", "--file", str(file)]) == 1
    assert capsys.readouterr().err.count("stale:") == 2


def rows() -> dict[Phase, list[str]]:
    """The cells of each phase's row: stage, phase, what is done, words, what follows, failure."""
    lines = [line.strip("|").split(" | ") for line in phases_page.page().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line] for line in lines[2:]]
    return {Phase(row[1].strip("`")): row for row in cells}


def test_every_phase_has_a_row_that_the_tables_agree_with() -> None:
    """Its stage, and what may follow."""
    found = rows()
    assert found.keys() == set(Phase)
    for phase, row in found.items():
        assert row[0] == STAGES[phase]
        assert {Phase(name.strip("`")) for name in row[4].split()} == TRANSITIONS[phase]


def test_the_diagram_has_every_transition() -> None:
    """Drawn once: by itself, or by the arrow from the box that holds its phase."""
    diagram = phases_page.page().partition("```mermaid")[2].partition("```")[0]
    box = diagram.partition("{")[2].partition("}")[0]
    edges = [tuple(line.split(" --> ")) for line in map(str.strip, diagram.splitlines()) if " --> " in line]
    boxed = {phase for phase in Phase if f" {phase} --> " in box or f"--> {phase}\n" in box}
    drawn = [(phase, to) for phase, to in edges if "[*]" not in (phase, to) and phase != "undoable"]
    drawn += [(str(phase), to) for phase in boxed for of, to in edges if of == "undoable"]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {(str(phase), str(to)) for phase, after in TRANSITIONS.items() for to in after}
