"""Business Unit: reports | Status: current.

The budgets of known divergences, applied to frames: what an entry covers beyond its budget of a day is uncovered again, and
with it what follows from it. Same rule and same order as `shadow.compare.budgets`, which does it to comparisons; a test holds the
two together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from shadow.contracts.comparison import Severity, Verdict

_DAY = ["trading_day", "origin", "covered_by"]


def over_budget(pairs: pd.DataFrame, differences: pd.DataFrame, budgets: Mapping[str, int]) -> pd.Series:
    """Mark the differences that lie beyond the budget of the entry that covers them, and what follows from those."""
    covered = differences.loc[differences["counts"] & differences["covered_by"].isin(list(budgets)), [*_DAY, "run_id", "key"]]
    place = pairs.sort_values(["published_at", "plan_id"], kind="stable")["run_id"].reset_index(drop=True)
    order = covered["run_id"].map(pd.Series(place.index, index=place))
    ranked = covered.assign(place=order).sort_values("place", kind="stable")
    used = ranked.groupby(_DAY, observed=True).cumcount() + 1
    beyond = ranked[used > ranked["covered_by"].map(dict(budgets))]
    roots = differences["caused_by"].fillna(differences["key"])
    marks = pd.MultiIndex.from_frame(beyond[["run_id", "key"]])
    return pd.Series(pd.MultiIndex.from_arrays([differences["run_id"], roots]).isin(marks), index=differences.index)


def uncover(
    pairs: pd.DataFrame, trades: pd.DataFrame, differences: pd.DataFrame, beyond: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Give the frames with the differences marked by `beyond` uncovered, and every count that depends on them."""
    changed = differences.copy()
    changed.loc[beyond, "over_budget"] = changed.loc[beyond, "covered_by"]
    changed.loc[beyond, "covered_by"] = None
    changed["unexplained"] = changed["counts"] & changed["covered_by"].isna()
    unexplained = changed[changed["unexplained"]]
    pairs, trades = pairs.copy(), trades.copy()
    pairs["unexplained"] = _counted(unexplained, pairs, "run_id")
    pairs["critical"] = _counted(unexplained[unexplained["severity"] == Severity.CRITICAL.value], pairs, "run_id")
    pairs["major"] = _counted(unexplained[unexplained["severity"] == Severity.MAJOR.value], pairs, "run_id")
    trades["unexplained"] = _counted(unexplained, trades, "trade_id")
    diverges = (pairs["verdict"] == Verdict.IGNORED.value) & (pairs["unexplained"] > 0)
    pairs.loc[diverges, "verdict"] = Verdict.DIVERGED.value
    return pairs, trades, changed


def _counted(rows: pd.DataFrame, target: pd.DataFrame, key: str) -> np.ndarray:
    return target[key].map(rows[key].value_counts()).fillna(0).astype("int64").to_numpy()
