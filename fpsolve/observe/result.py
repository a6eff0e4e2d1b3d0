"""The Dataset that a run returns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import xarray as xr

from fpsolve.observe.harmonic_index import HARMONIC, with_harmonic_index
from fpsolve.observe.member_run import member_run


class Result(xr.Dataset):  # type: ignore[no-untyped-call]  # xarray's __init_subclass__
    """An xarray Dataset whose variable ``tail`` can be reached as ``ds.tail``.

    xarray's own method of that name (the last entries of every dimension) gives way; ``ds.isel(time=slice(-5, None))``
    does the same. Of an ensemble ``sel`` and ``isel`` of one member, at one point of the sweep, are that run as
    ``fp.solve`` gives it, with its own configuration; with ``drop=True`` they are identical. A member that failed or is
    pending stays what it is, with ``status`` and ``cause``.
    """

    __slots__ = ()

    @property
    def tail(self) -> xr.DataArray:  # type: ignore[override]
        """Share of the power above 0.9 ℓmax, where the measure has one."""
        if "tail" not in self:
            raise AttributeError("this result has no variable 'tail'; only densities have one")
        return self["tail"]

    def to_dataframe(self, dim_order: Sequence[Hashable] | None = None) -> Any:
        """As of any Dataset; degree and order, an index of the harmonics, are columns of the frame.

        Of a DataArray, which is xarray's own: ``ds.moments.drop_indexes(["degree", "order"]).to_dataframe()``.
        """
        indexed = [name for name in HARMONIC if name in self.xindexes]
        return xr.Dataset.to_dataframe(self.drop_indexes(indexed), dim_order)

    def isel(
        self,
        indexers: Mapping[Any, Any] | None = None,
        drop: bool = False,
        missing_dims: Any = "raise",
        **indexers_kwargs: Any,
    ) -> Result:
        """As xarray's; one member becomes its run."""
        found = super().isel(indexers, False, missing_dims, **indexers_kwargs)
        run: Any = member_run(found)
        gone = [name for name in run.coords if run[name].ndim == 0 and self[name].ndim] if drop else []
        left: Result = run.drop_vars(gone)
        return left


def as_result(ds: xr.Dataset) -> Result:
    """The same variables, coordinates and attributes as a Result, its moments indexed by degree and order."""
    return with_harmonic_index(Result(ds.data_vars, ds.coords, ds.attrs))
