"""Wrapped functions: what stands in for them, that all are put back, and that a missing name is an error."""

import pickle

import pytest

import fpsolve as fp
from fpsolve.cli.profiling import profile
from fpsolve.comparison.counting import counting
from fpsolve.instrument import InstrumentError, Wrapped, wrapped
from fpsolve.sphere import circle

CONFIG = """
[model]
name = "SelfAttention"
beta = 1.0
[initial]
name = "uniform"
[solve]
t_end = 0.2
dt = 0.1
lmax = 15
"""


class Base:
    def first(self):
        return 1


class Derived(Base):
    def second(self):
        return 2


def doubled(function):
    return lambda *arguments: 2 * function(*arguments)


def test_functions_are_replaced_and_put_back_inherited_ones_as_inherited():
    own = vars(Derived)["second"]
    with pytest.raises(ZeroDivisionError), wrapped(Wrapped(Derived, name, doubled) for name in ("first", "second")):
        assert (Derived().first(), Derived().second(), Base().first()) == (2, 4, 1)
        _ = 1 / 0
    assert (Derived().first(), Derived().second()) == (1, 2)
    assert "first" not in vars(Derived) and vars(Derived)["second"] is own


def test_one_missing_name_is_told_and_nothing_is_changed():
    places = [Wrapped(Derived, name, doubled) for name in ("second", "third")]
    with (
        pytest.raises(InstrumentError, match=r"cannot measure .*Derived\.third: not found") as refused,
        wrapped(places),
    ):
        raise AssertionError("entered")
    assert Derived().second() == 2
    assert pickle.loads(pickle.dumps(refused.value)).names == refused.value.names


def test_what_is_no_function_is_told():
    Base.number = 3
    with pytest.raises(InstrumentError, match=r"Base\.number"), wrapped([Wrapped(Base, "number", doubled)]):
        pass


def test_a_count_without_one_of_its_names_is_an_error(monkeypatch):
    monkeypatch.delattr(circle, "rfft")
    with pytest.raises(InstrumentError, match=r"cannot measure fpsolve\.sphere\.circle\.rfft"), counting():
        pass


@pytest.mark.parametrize(
    ("owner", "name", "told"),
    [
        (circle.CircleGrid, "to_modes", r"fpsolve\.sphere\.circle\.CircleGrid\.to_modes"),
        (fp.BrownianPath, "normals", r"fpsolve\.noise\.path\.BrownianPath\.normals"),
    ],
)
def test_a_profile_without_one_of_its_names_is_an_error(tmp_path, monkeypatch, owner, name, told):
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    monkeypatch.delattr(owner, name)
    with pytest.raises(InstrumentError, match=told):
        profile(config, 1)
