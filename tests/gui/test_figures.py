"""What the plots make of their data."""

from __future__ import annotations

import numpy as np
import pytest

from gui.figures import CurrentFigure
from gui.theme import DARK


@pytest.mark.parametrize(("current_A", "span_mA"), [(-0.6071518e-3, 0.02 * 0.6072), (12e-3, 0.02 * 12.0)])
def test_a_constant_current_is_drawn_as_a_line_and_not_as_its_noise(qtbot, current_A: float, span_mA: float) -> None:  # type: ignore[no-untyped-def]
    figure = CurrentFigure(DARK)
    qtbot.addWidget(figure)
    noise = np.random.default_rng(1).normal(1.0, 1e-6, 200)
    figure.draw(np.arange(200.0), current_A * noise)
    figure.show()
    qtbot.waitUntil(lambda: figure.view.viewRange()[1][0] < 1e3 * current_A < figure.view.viewRange()[1][1])
    assert np.ptp(figure.view.viewRange()[1]) == pytest.approx(span_mA, rel=0.2)


def test_no_current_is_no_trouble(qtbot) -> None:  # type: ignore[no-untyped-def]
    figure = CurrentFigure(DARK)
    qtbot.addWidget(figure)
    figure.draw(np.arange(10.0), np.zeros(10))
    figure.clear()
