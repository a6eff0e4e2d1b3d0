"""The page of ``fp.plot.report``: self-contained, with the numbers of the result, names escaped, TOML that runs."""

import json
import re
import tomllib
import warnings
from html import escape, unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli import app
from fpsolve.config import parse_config
from fpsolve.errors import InputError, MissingDependencyError
from fpsolve.plot.interactive import page, sphere
from fpsolve.plot.interactive.described import configuration

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

LAW = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0)
RUN = {"t_end": 0.04, "dt": 0.01, "lmax": 15, "save_density": True, "seed": 3}
EVIL = '</script><script>alert(1)</script><img src="http://a.b/c" onerror="x">'


@pytest.fixture(scope="module")
def result():
    return fp.solve(fp.models.Homogenized(2.0), LAW, **RUN)


class Parts(HTMLParser):
    """Elements with their attributes, and the text of scripts apart from that of the page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.words, self._in = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style", "pre", "p", "h1", "td", "title"):
            self._in.append(tag)

    def handle_endtag(self, tag):
        if self._in and self._in[-1] == tag:
            self._in.pop()

    def handle_data(self, data):
        (self.scripts if "script" in self._in else self.words).append(data)


def parts(ds, **options):
    return Parts(page.html(page.content(ds, **options)))


def text(found):
    return " ".join("".join(found.words).split())


def data(found, name):
    """The traces that a script draws in the element of that name, and its frames."""
    script = next(one for one in found.scripts if f'"{name}"' in one and "Plotly.newPlot" in one)
    start = script.index("[", script.index(f'"{name}"', script.index("Plotly.newPlot")))
    traces, _ = json.JSONDecoder().raw_decode(script[start:])
    frames = re.search(r"Plotly\.addFrames\(\s*['\"]\w+['\"],\s*", script)
    return traces, json.JSONDecoder().raw_decode(script[frames.end() :])[0] if frames else []


def numbers(packed):
    """A typed array of plotly's JSON, or a list."""
    if isinstance(packed, list):
        return np.array(packed, float)
    import base64

    flat = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    shape = packed.get("shape")
    return flat.reshape([int(n) for n in shape.split(",")]) if shape else flat


def assert_self_contained(found):
    for tag, attributes in found.elements:
        assert tag not in ("link", "iframe", "object", "embed", "img"), tag
        assert not {"src", "href", "srcset", "action"} & attributes.keys(), (tag, attributes)
    policy = [a["content"] for tag, a in found.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policy) == 1 and "default-src 'none'" in policy[0] and "http" not in policy[0]
    assert any("plotly.js v" in one[:200] for one in found.scripts)


def test_a_page_loads_nothing_and_repeats_to_the_byte(result, tmp_path):
    path = fp.plot.report(result, tmp_path / "a.html")
    assert path == tmp_path / "a.html"
    assert_self_contained(Parts(path.read_text("utf-8")))
    fp.plot.report(result, tmp_path / "b.html")
    assert path.read_bytes() == (tmp_path / "b.html").read_bytes()


def test_curves_and_tables_hold_the_numbers(result):
    found = parts(result)
    titles = [curve.title for curve in page.content(result).curves]
    curve, _ = data(found, f"curve{titles.index('overlap |m|²')}")
    np.testing.assert_array_equal(numbers(curve[0]["y"]), result.overlap)
    np.testing.assert_array_equal(numbers(curve[0]["x"]), result.time)
    for value in (result.overlap.values[0], result.overlap.values[-1], result.energy.values[-1]):
        assert f"{value:.6g}" in text(found)
    assert fp.__version__ in text(found) and np.__version__ in text(found)


def test_the_sphere_has_the_density_of_every_time(result):
    """At places of the grid, against the density of the law (times are few, so that all rows are drawn)."""
    traces, frames = data(parts(result), "scene")
    assert [float(one["name"]) for one in frames] == list(result.time.values)
    x = np.stack([numbers(traces[0][axis]) for axis in "xyz"])
    np.testing.assert_allclose((x**2).sum(0), 1, atol=1e-6)
    mean = np.array([0.2, -0.5, 1]) / np.linalg.norm([0.2, -0.5, 1])
    exact = 2 / (4 * np.pi * np.sinh(2)) * np.exp(2 * np.tensordot(mean, x, 1))
    np.testing.assert_allclose(numbers(frames[0]["data"][0]["surfacecolor"]), exact, atol=2e-3)
    last = numbers(frames[-1]["data"][0]["surfacecolor"])
    assert last.max() == pytest.approx(float(result.density[-1].max()), rel=5e-3)
    needle = frames[-1]["data"][1]
    direction = np.array([needle[axis][1] for axis in "xyz"]) / sphere.NEEDLE
    m = result.mean_vector.values[-1]
    np.testing.assert_allclose(direction, m / np.linalg.norm(m), atol=1e-12)


@pytest.mark.parametrize("high", [0.5, 5.0, 500.0])
def test_ticks_stand_where_their_densities_are_drawn(high):
    scale = sphere.ColourScale(1e-9, high)
    assert scale.kind == {0.5: "linear", 5.0: "square-root", 500.0: "logarithmic"}[high]
    undone = {"linear": lambda v: v, "square-root": np.square, "logarithmic": lambda v: 10.0**v}[scale.kind]
    np.testing.assert_allclose(undone(scale.bar()["colorbar"]["tickvals"]), scale.ticks)
    drawn, bar = scale(scale.ticks), scale.bar()
    assert bar["cmin"] <= drawn.min() + 1e-12 and drawn.max() <= bar["cmax"] + 1e-12


def test_points_of_a_cloud(tmp_path):
    ds = fp.solve(fp.models.SelfAttention(1.0), LAW, t_end=0.02, dt=0.01, lmax=7, measure="cloud", save_points=True)
    found = parts(ds)
    _, frames = data(found, "scene")
    places = np.stack([numbers(frames[-1]["data"][0][axis]) for axis in "xyz"], -1)
    np.testing.assert_allclose(places, ds["points"].values[-1], atol=1e-7)
    assert "error of the cloud's quadrature" in text(found)
    assert ("p", {"class": "right", "id": "verdict"}) in found.elements
    tokens = fp.initial.samples(LAW, 32, seed=1)
    found = parts(fp.solve(fp.models.SelfAttention(1.0), tokens, t_end=0.02, dt=0.01, save_points=True))
    assert "Points have no tail" in text(found)
    assert ("p", {"class": "unknown", "id": "verdict"}) in found.elements


def test_the_circle_and_many_dimensions():
    ds = fp.solve(fp.models.SelfAttention(1.0), fp.initial.von_mises_fisher([0, 1], 2.0), t_end=0.02, dt=0.01, lmax=15,
                  save_density=True)  # fmt: skip
    _, frames = data(parts(ds), "scene")
    np.testing.assert_allclose(numbers(frames[0]["data"][0]["y"])[:-1], ds.density.values[0], rtol=1e-6)
    five = fp.initial.samples(fp.initial.uniform(8), 5, seed=1)
    tokens = fp.solve(fp.models.SelfAttention(1.0), five, t_end=0.02, dt=0.01, measure="cloud")
    assert "The tokens live in d = 8" in text(parts(tokens))


def test_laws_about_an_axis():
    start = fp.initial.von_mises_fisher([0, 0, 0, 1.0], 2.0)
    ds = fp.solve(fp.models.SelfAttention(2.0), start, t_end=0.02, dt=0.01, measure="zonal", lmax=15, save_density=True)
    found = parts(ds)
    traces, frames = data(found, "scene")
    np.testing.assert_allclose(numbers(frames[-1]["data"][0]["y"]), ds.density.values[-1], rtol=1e-6)
    np.testing.assert_allclose(numbers(traces[0]["x"]), ds.u, rtol=1e-6)
    bare = fp.solve(fp.models.SelfAttention(2.0), start, t_end=0.02, dt=0.01, measure="zonal", lmax=15)
    assert "its density was not saved" in text(parts(bare))


def test_what_is_not_resolved_is_said(result):
    assert ("p", {"class": "right", "id": "verdict"}) in parts(result).elements
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = fp.solve(fp.models.Homogenized(8.0, noise=3.0), LAW, t_end=0.5, dt=0.01, lmax=7, measure="density")
    assert "unresolved_from" in ds.attrs
    found = parts(ds)
    assert f"under-resolved from t = {ds.attrs['unresolved_from']:g} on" in text(found).lower()
    assert ("p", {"class": "wrong", "id": "verdict"}) in found.elements


def test_a_cloud_that_took_over_is_right_while_its_quadrature_is():
    """Its verdict is that of ``cloud_error``, which has a row; of a density's own hand-over, too."""
    flow, run = fp.models.IsotropicFlow([0.2, 4.0, 1.0], noise=1.0), {"t_end": 0.4, "dt": 0.05, "path_cell": 0.05}
    for lmax, verdict in ((23, "right"), (7, "wrong")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = fp.solve(flow, LAW, lmax=lmax, lmax_cap=2 * lmax, **run)
        found = parts(ds)
        assert ("handed_over_at" in ds.attrs) and ("cloud_unresolved_from" in ds.attrs) == (verdict == "wrong")
        assert ("p", {"class": verdict, "id": "verdict"}) in found.elements
        assert f"carried by a cloud from t = {ds.handed_over_at:g} on" in text(found)
        assert "error of the cloud's quadrature" in text(found)


def copied(found_or_ds):
    """The configuration as a reader copies it."""
    whole = page.html(page.content(found_or_ds))
    return unescape(re.search(r'<pre id="configuration">(.*?)</pre>', whole, re.DOTALL)[1])


def test_the_copied_configuration_makes_the_result_again(result):
    again = parse_config(tomllib.loads(copied(result))).solve()
    assert again.identical(result)


def test_the_copied_configuration_of_a_sum_and_of_an_ensemble():
    total = fp.models.SelfAttention(1.0) + fp.models.IsotropicFlow([0.1, 0.1])
    ds = fp.solve(total, LAW, t_end=0.02, dt=0.01, lmax=7)
    assert parse_config(tomllib.loads(copied(ds))).model == total
    runs = fp.ensemble(fp.models.Homogenized(2.0), LAW, members=range(1, 3), sweep={"noise": [0.5, 1.0]}, t_end=0.02,
                       dt=0.01, lmax=7, progress=False)  # fmt: skip
    described = parse_config(tomllib.loads(copied(runs)))
    assert dict(described.sweep) == {"noise": [0.5, 1.0]}
    again = fp.ensemble(described.model, described.initial, sweep=dict(described.sweep), progress=False,
                        **described.arguments, **described.extras["ensemble"])  # fmt: skip
    assert again.identical(runs)
    found = parts(runs)
    assert "Of 4 members: 4 done." in text(found) and "noise = 0.5 (2 members)" in text(found)


def test_a_function_is_no_configuration():
    ds = fp.solve(fp.models.SelfAttention(1.0), fp.initial.function(lambda x: 0 * x[..., 0] + 1 / (4 * np.pi)),
                  t_end=0.02, dt=0.01, lmax=7, observe={"own": lambda measure: 1.0})  # fmt: skip
    _, why = configuration(ds)
    assert "does not run as it is" in why and "own" in why and "initial" in why


def test_a_network():
    arch = fp.transformer.Architecture.preset("gpt2", depth=2, d=64, heads=4)
    ds = fp.transformer.predict(arch, 6, members=2)
    found = parts(ds)
    curve, _ = data(found, "curve0")
    line = next(one for one in curve if one.get("name") == "mean")
    np.testing.assert_allclose(numbers(line["y"]), ds.mean_overlap.mean("member"), rtol=1e-15)
    assert fp.transformer.verdict(ds) in text(found)
    read = fp.transformer.Architecture.from_dict(tomllib.loads(copied(ds)))
    assert read == fp.transformer.Architecture.from_dict(json.loads(ds.attrs["fpsolve_config"])["model"])
    assert_self_contained(found)


@pytest.mark.parametrize("place", ["title", "option", "component", "model", "versions", "own"])
def test_names_are_text(result, place):
    ds, options = result.copy(), {}
    config = json.loads(ds.attrs["fpsolve_config"])
    if place == "title":
        ds.attrs = {"title": EVIL}
    elif place == "option":
        options["title"] = EVIL
    elif place == "component":
        ds = ds.assign_coords(component=[EVIL, "y", "z"])
    elif place == "versions":
        ds.attrs["fpsolve_versions"] = json.dumps({EVIL: EVIL})
    elif place == "own":
        own = result.overlap.copy()
        own.attrs = {"panel": EVIL, "panel_kind": "line", "units": EVIL}
        ds = ds.assign({EVIL: own})
    else:
        config["model"]["name"] = config["initial"]["name"] = EVIL
        ds.attrs["fpsolve_config"] = json.dumps(config)
    found, clean = parts(ds, **options), parts(result)
    tags = [tag for tag, _ in found.elements]
    assert "img" not in tags and tags.count("script") - tags.count("h3") == [t for t, _ in clean.elements].count(
        "script") - [t for t, _ in clean.elements].count("h3")  # fmt: skip
    assert not any("onerror" in attributes for _, attributes in found.elements)
    assert all("<img" not in one and "alert(1)</script" not in one for one in found.scripts[1:])
    assert_self_contained(found)
    if place == "component":  # plotly takes some tags, links among them, in names
        assert escape(EVIL) in [trace.get("name") for trace in data(found, "curve0")[0]]


def test_refusals(result, tmp_path, monkeypatch):
    (tmp_path / "there.html").write_text("precious")
    for path, line in ((tmp_path / "there.html", "exists already"), (tmp_path / "a.htm", "is not one of .html")):
        with pytest.raises(InputError, match=line) as refused:
            fp.plot.report(result, path)
        assert refused.value.argument == "path"
    assert (tmp_path / "there.html").read_text() == "precious"
    with pytest.raises(InputError, match="times = 1"):
        fp.plot.report(result, tmp_path / "a.html", times=1)
    with pytest.raises(InputError, match="has no page of its own"):
        fp.plot.report(result.isel(time=0), tmp_path / "a.html")
    monkeypatch.setitem(__import__("sys").modules, "plotly", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'fpsolve\[report\]'"):
        fp.plot.report(result, tmp_path / "a.html")
    assert [one.name for one in tmp_path.iterdir()] == ["there.html"]


def test_the_command(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fp.save(result, "run.nc")
    done = CliRunner().invoke(app, ["report", "run.nc", "--title", "Mine", "--times", "3"])
    assert (done.exit_code, done.output) == (0, "wrote run.html\n")
    found = Parts((tmp_path / "run.html").read_text("utf-8"))
    assert "Mine" in text(found) and "Shown: 3 of 5 saved times." in text(found)
    assert len(data(found, "scene")[1]) == 3
    assert CliRunner().invoke(app, ["report", "run.nc"]).exit_code == 2
    assert CliRunner().invoke(app, ["report", "run.nc", "--overwrite", "-o", "run.html"]).exit_code == 0
