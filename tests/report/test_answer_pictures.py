"""Pictures of predicted sequences."""

import warnings

import numpy as np
import pytest

from fdl import report


@pytest.mark.drawn
def test_characters_without_a_font_are_drawn_without_a_warning(tmp_path) -> None:
    one = report.Alignment(["年", " ", "a"], ["b", "</s>"], np.full((2, 3), 1 / 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report.draw_alignments(tmp_path / "a.png", [one] * 4, title="title")
        report.draw_commonest(tmp_path / "c", {("年", None): 2, (" ", "a"): 1}, "title")
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    assert (tmp_path / "c.png").is_file()


def test_empty_and_tiny_inputs_can_be_drawn(tmp_path) -> None:
    none, few = np.zeros(0), np.array([1.0, 0.0])
    for wrong in (none, few):
        length = np.full(len(wrong), 3)
        report.draw_errors_by_length(tmp_path / "l", wrong, length, title="title")
    report.draw_commonest(tmp_path / "c", {}, "title")
