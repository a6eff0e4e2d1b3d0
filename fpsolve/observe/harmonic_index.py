"""Selection of moments by degree and order, ``ds.moments.sel(degree=2, order=-1)``."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from xarray.core.indexing import IndexSelResult
from xarray.indexes import PandasMultiIndex

HARMONIC = ("degree", "order")

AnyDataset = TypeVar("AnyDataset", bound=xr.Dataset)


class HarmonicIndex(xr.Index):
    """An index of a dimension by two coordinates that stay what they are: plain numbers, which every format keeps.

    xarray's own index of several coordinates, a pandas MultiIndex, answers; but its dimension gets a coordinate of
    pairs, which no file takes.
    """

    def __init__(self, pairs: PandasMultiIndex) -> None:
        self.pairs = pairs

    @classmethod
    def from_variables(cls, variables: Mapping[Any, xr.Variable], *, options: Mapping[str, Any]) -> HarmonicIndex:
        return cls(PandasMultiIndex.from_variables(variables, options=options))

    def create_variables(self, variables: Mapping[Any, xr.Variable] | None = None) -> dict[Any, xr.Variable]:
        attrs = {name: one.attrs for name, one in (variables or {}).items()}
        levels = {name: self.pairs.index.get_level_values(name) for name in self.pairs.index.names}
        return {name: xr.Variable(self.pairs.dim, np.asarray(one), attrs.get(name)) for name, one in levels.items()}

    def to_pandas_index(self) -> Any:
        """The pairs, as ``ds.indexes`` shows them."""
        return self.pairs.index

    def sel(self, labels: dict[Any, Any], **options: Any) -> IndexSelResult:
        """One number of each level, or lists and slices (of values, their ends included)."""
        if all(np.ndim(one) == 0 and not isinstance(one, slice) for one in labels.values()):
            return IndexSelResult(self.pairs.sel(labels, **options).dim_indexers)
        chosen = np.ones(len(self.pairs.index), bool)
        for name, one in labels.items():
            level = self.pairs.index.get_level_values(name)
            if isinstance(one, slice):
                chosen &= (level >= (level.min() if one.start is None else one.start)) & (
                    level <= (level.max() if one.stop is None else one.stop)
                )
            else:
                chosen &= level.isin(np.atleast_1d(one))
        return IndexSelResult({self.pairs.dim: np.flatnonzero(chosen)})

    def isel(self, indexers: Mapping[Any, Any]) -> HarmonicIndex | None:
        found = self.pairs.isel(indexers)
        return HarmonicIndex(found) if isinstance(found, PandasMultiIndex) else None

    def equals(self, other: xr.Index, **options: Any) -> bool:
        return isinstance(other, HarmonicIndex) and self.pairs.index.equals(other.pairs.index)

    def join(self, other: HarmonicIndex, how: Any = "inner") -> HarmonicIndex:
        found = self.pairs.join(other.pairs, how)
        assert isinstance(found, PandasMultiIndex)
        return HarmonicIndex(found)

    def reindex_like(self, other: HarmonicIndex, **options: Any) -> dict[Hashable, Any]:
        return self.pairs.reindex_like(other.pairs, **options)

    @classmethod
    def concat(
        cls, indexes: Sequence[HarmonicIndex], dim: Hashable, positions: Iterable[Iterable[int]] | None = None
    ) -> HarmonicIndex:
        found = PandasMultiIndex.concat([one.pairs for one in indexes], dim, positions)
        assert isinstance(found, PandasMultiIndex)
        return cls(found)

    def rename(self, name_dict: Mapping[Any, Hashable], dims_dict: Mapping[Any, Hashable]) -> HarmonicIndex:
        levels = [name_dict.get(name, name) for name in self.pairs.index.names]
        dim = dims_dict.get(self.pairs.dim, self.pairs.dim)
        kinds = {name_dict.get(name, name): one for name, one in self.pairs.level_coords_dtype.items()}
        return HarmonicIndex(PandasMultiIndex(self.pairs.index.rename(levels), dim, kinds))


def with_harmonic_index(ds: AnyDataset) -> AnyDataset:
    """With the index, where ``degree`` and ``order`` run along one dimension and have none."""
    having = [ds[name] for name in HARMONIC if name in ds.coords]
    if len(having) < 2 or having[0].ndim != 1 or having[0].dims != having[1].dims:
        return ds
    if any(name in ds.xindexes for name in HARMONIC):
        return ds
    return ds.set_xindex(HARMONIC, HarmonicIndex)
