"""Business Unit: benchmarks | Status: current.

Cost against size, on logarithmic axes, one picture a growth.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.render import plot_name
from benchmarks.rows import Growth

_COLOURS = ("#1f5fa8", "#b4531f", "#4b7f52")


def draw(grown: Iterable[Growth], folder: Path) -> None:
    """Draw each growth into `folder`, the same one into the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        for each in grown:
            _draw(each, folder / plot_name(each))


def _draw(grown: Growth, path: Path) -> None:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for colour, (name, costs) in zip(_COLOURS, {"ours": grown.ours, **grown.others}.items(), strict=False):
        axes.plot(grown.sizes, costs, marker="o", color=colour, label=name)
    linear = [grown.ours[-1] * size / grown.sizes[-1] for size in grown.sizes]
    axes.plot(grown.sizes, linear, color="#999999", linestyle=":", label="linear")
    axes.set(xscale="log", yscale="log", xlabel=grown.size, ylabel="seconds")
    fitted = "" if grown.exponent is None else f" (exponent {grown.exponent:.2f})"
    axes.set_title(f"{grown.name}{fitted}", fontsize=11)
    axes.grid(visible=True, which="major", color="#e5e5e5")
    axes.legend(frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
