"""Confusion matrices have room for the names of classes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from fdl import report


@pytest.mark.drawn
def test_long_names_leave_room_for_the_matrix(tmp_path, monkeypatch) -> None:
    figures = []
    draw = Figure.savefig

    def keep(figure, *arguments, **options):
        figures.append(figure)
        draw(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    names = ["cat", "a name that is much too long to be shown in a picture"]
    report.draw_confusion(tmp_path / "a.png", np.eye(2, dtype=int), names, title="x")
    (axes,) = figures[0].axes
    assert axes.get_window_extent().width > 0.2 * figures[0].bbox.width
    assert [x.get_text() for x in axes.get_yticklabels()] == [
        "cat",
        f"{names[1][:23]}…",
    ]
