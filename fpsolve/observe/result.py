"""The Dataset that a run returns."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import xarray as xr

from fpsolve.observe.harmonic_index import HARMONIC, with_harmonic_index


class Result(xr.Dataset):
    """An xarray Dataset whose variable ``tail`` can be reached as ``ds.tail``.

    xarray's own method of that name (the last entries of every dimension) gives way; ``ds.isel(time=slice(-5, None))``
    does the same.
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


def as_result(ds: xr.Dataset) -> Result:
    """The same variables, coordinates and attributes as a Result, its moments indexed by degree and order."""
    return with_harmonic_index(Result(ds.data_vars, ds.coords, ds.attrs))
