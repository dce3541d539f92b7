"""Pictures of sweeps and runs: axes, lines and captions."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from fdl import report
from fdl.report.parallel import _Axis

pytestmark = pytest.mark.drawn

RATES = np.geomspace(1e-4, 1e-1, 12)


def lines(rates=RATES, **more):
    curves = lambda k: np.linspace(0.5, 0.9 + k / 1000, 4)[None].repeat(3, axis=0)
    return [
        report.Line(f"rate {rate:g}", {"learning_rate": rate, **more}, curves(k))
        for k, rate in enumerate(rates)
    ]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Return a function that draws a picture and returns its figure."""
    figures: list[Figure] = []

    def keep(figure, *arguments, **options):
        figures.append(figure)
        return save(figure, *arguments, **options)

    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(function, *arguments, **options):
        function(tmp_path / "a.png", *arguments, **options)
        return figures[-1]

    return draw


def test_curves_have_units_and_whole_epochs(drawn) -> None:
    for count in (1, 2, 3, 30):
        curves = {"accuracy": [0.5] * count, "loss": [1.0] * count}
        figure = drawn(
            report.draw_curves, curves, curves, title="a run", loss_unit="nats"
        )
        accuracy, loss = figure.axes
        assert accuracy.get_ylabel() == "Accuracy (%)"
        assert loss.get_ylabel() == "Loss (nats)"
        assert accuracy.yaxis.get_major_formatter()(0.5, 0).startswith("50")
        ticks = accuracy.get_xticks()
        assert len(ticks)
        assert (ticks == np.round(ticks)).all()


def test_captions_explain_bands_and_dots(drawn) -> None:
    captions = {
        "settings": drawn(report.draw_settings, lines(), "accuracy"),
        "learning": drawn(report.draw_learning, lines(), "accuracy"),
        "parallel": drawn(report.draw_parallel, lines(), "accuracy"),
        "distribution": drawn(
            report.draw_distribution, {"a": np.array([0.97, 0.98, 0.99])}, "accuracy"
        ),
    }
    words = {name: figure.get_supxlabel() for name, figure in captions.items()}
    assert "band: 10th to 90th percentile" in words["settings"]
    assert "band: from smallest to largest" in words["learning"]
    assert "the best is bold" in words["parallel"]
    assert "95 % interval" in words["distribution"]


def test_many_random_settings_are_not_joined_by_a_line(drawn) -> None:
    drawn_line = lambda rates: len(
        drawn(report.draw_settings, lines(rates), "accuracy").axes[0].lines
    )
    assert drawn_line(RATES[:4]) == 2
    assert drawn_line(RATES) == 1


def test_the_best_line_of_parallel_coordinates_is_bold(drawn) -> None:
    for smallest, place in ((False, -1), (True, 0)):
        figure = drawn(
            report.draw_parallel, lines(), "accuracy", smallest_is_best=smallest
        )
        wide = [x for x in figure.axes[0].lines if x.get_linewidth() == 3]
        assert len(wide) == 1
        assert wide[0].get_ydata()[0] == (1 if place == -1 else 0)
        labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
        assert labels == ["Learning rate", "Accuracy (%)"]


def test_an_axis_of_parallel_coordinates() -> None:
    rates = _Axis(list(RATES))
    assert [text for _, text in rates.ticks()] == ["0.0001", "0.001", "0.01", "0.1"]
    assert [height for height, _ in rates.ticks()] == pytest.approx(
        [0, 1 / 3, 2 / 3, 1]
    )
    assert _Axis(["b", "a", "c"]).ticks() == [(0, "a"), (0.5, "b"), (1, "c")]
    assert [text for _, text in _Axis([0.9, 0.95], percent=True).ticks()] == [
        "90",
        "95",
    ]
    assert _Axis([3, 3]).ticks() == [(0, "3")]
    assert _Axis([64, 128]).ticks() == [(0, "64"), (1, "128")]


def test_one_seed_has_no_interval(drawn) -> None:
    samples = {"one": np.array([0.97]), "two": np.array([0.97, 0.98])}
    figure = drawn(report.draw_distribution, samples, "accuracy")
    intervals = [mean.has_xerr for mean in figure.axes[0].containers]
    assert intervals == [False, True]
