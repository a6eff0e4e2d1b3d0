"""``fpsolve network``: the table, the sentence, what is written, one change at a time, the plane, refusals."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli import app
from fpsolve.cli.networking import architecture
from fpsolve.errors import InputError
from fpsolve.transformer import Architecture, phase_map, predict, verdict, what_if
from fpsolve.transformer.network.what_if import with_heads, with_logits


def called(*arguments):
    return CliRunner().invoke(app, ["network", *map(str, arguments)])


SMALL = ("--depth", 2, "--d", 64, "--heads", 4, "--n", 6)


def test_table_verdict_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = called("gpt2", *SMALL, "--members", 2, "-o", "out.nc")
    assert result.exit_code == 0, result.output
    ds = fp.load("out.nc")
    assert ds.sizes["layer"] == 3 and ds.sizes["member"] == 2
    assert f"{float(ds.mean_overlap.mean('member')[2]):.4f} ±" in result.output
    assert f"gpt2 {verdict(ds)}." in result.output
    assert (tmp_path / "gpt2-network.png").stat().st_size > 10_000
    assert called("gpt2", *SMALL).exit_code == 2  # the picture is there already
    assert called("gpt2", *SMALL, "--overwrite", "--wide").exit_code == 0


def test_files_and_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('preset = "llama"\ndepth = 2\nd = 32\nheads = 4\nname = "mine"\n', "utf-8")
    assert called("mine.toml", "--n", 4).exit_code == 2  # a preset has no option name
    (tmp_path / "mine.toml").write_text('preset = "llama"\ndepth = 2\nd = 32\nheads = 4\n', "utf-8")
    result = called("mine.toml", "--n", 4, "--set", "norm.place=post", "--set", "attention.softcap=5", "-o", "a.nc")
    assert result.exit_code == 0, result.output
    config = fp.load("a.nc").attrs["fpsolve_config"]
    assert '"place": "post"' in config and '"softcap": 5' in config


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("gpt5",), "did you mean 'gpt2'?"),
        (("bret",), "did you mean 'bert'?"),
        (("gpt2", "--depth", -3), "depth = -3: must be an integer >= 1"),
        (("gpt2", "--depth", 0), "depth"),
        (("gpt2", "--n", 0), "n = 0: must be an integer >= 2"),
        (("gpt2", "--n", 0, "--wide"), "n = 0"),
        (("gpt2", "--n", -5, "--exact"), "n = -5"),
        (("gpt2", "--n", 10**9), "GiB"),
        (("gpt2", "--members", 0), "members"),
        (("gpt2", "--heads", 5), "heads = 5"),
        (("gpt2", "--seed", -1), "seed"),
        (("gpt2", "--threshold", "nan"), "threshold"),
        (("gpt2", "--set", "attention.query=nan"), "attention.query.std = nan"),
        (("gpt2", "--set", "attention.query=-0.02"), "attention.query.std"),
        (("gpt2", "--set", "norm.place=ngpt"), "not Gaussian"),
        (("gpt2", "--set", "depth=two"), "depth = 'two'"),
        (("gpt2", "--what-if", "--figure", "a.png"), "figure"),
        (("gpt2", "--figure", "a.txt"), "a.txt"),
        (("nothing.json",), "nothing is downloaded"),
        (("gpt2", "--d", 100), "d = 100"),
        (("gpt2", "--set", "norm.place"), "set"),
        (("gpt2", "--set", "norm.plase=post"), "norm.plase"),
        (("gpt2", "--n", 5000), "tokens"),
        (("nothing.toml",), "path"),
        (("gpt2", "--what-if", "--map"), "map"),
    ],
)
def test_refusals_name_what_is_wrong(arguments, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = called(*arguments)
    assert result.exit_code == 2
    assert named in result.output
    assert not list(tmp_path.iterdir())


GPT2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 32, "vocab_size": 100,
        "initializer_range": 0.02, "activation_function": "gelu_new"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "is not JSON"),
        ("\xff\xfe", "is not JSON"),
        ("[1, 2]", "is no configuration"),
        ("{}", "model_type = (nothing): a configuration needs this key"),
        (json.dumps({key: GPT2[key] for key in GPT2 if key != "n_head"}), "n_head = (nothing)"),
        (json.dumps(GPT2 | {"model_type": "gpt_neo"}), "did you mean 'gpt_neox'?"),
        (json.dumps(GPT2 | {"initializer_range": float("nan")}), "initializer_range = nan"),
        (json.dumps(GPT2 | {"n_layer": -1}), "n_layer = -1"),
        (json.dumps(GPT2 | {"n_embd": "wide"}), "n_embd = 'wide'"),
    ],
)
def test_bad_configurations_are_refused_by_key(text, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(text, "latin-1")
    for source in ("config.json", "."):
        result = called(source, "--n", 4)
        assert result.exit_code == 2, result.output
        assert named in " ".join(result.output.split())
    assert len(list(tmp_path.iterdir())) == 1


def test_configurations_in_other_sizes(tmp_path, monkeypatch):
    """As in presets heads keep their width; a folder that holds a config.json is one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(GPT2), "utf-8")
    result = called(".", "--n", 4, "--d", 32, "--depth", 3, "-o", "a.nc", "--set", "norm.place=peri")
    assert result.exit_code == 0, result.output
    model = json.loads(fp.load("a.nc").attrs["fpsolve_config"])["model"]
    expected = Architecture.from_transformers(GPT2).resized(d=32, depth=3).changed(**{"norm.place": "peri"})
    assert Architecture.from_dict({key: one for key, one in model.items() if key != "name"}) == expected.renamed("")
    assert (expected.attention.heads, expected.mlp.width, expected.depth) == (2, 128, 3)
    (tmp_path / "a.toml").write_text('preset = "gpt2"\nd = 128\n', "utf-8")
    expected = Architecture.preset("gpt2", d=64, depth=2)
    assert architecture("a.toml", {"d": 64, "depth": 2, "heads": None}, []) == expected


def test_what_if_changes_one_thing_and_names_the_largest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arch = Architecture.preset("torch-encoder", depth=8, d=32, heads=4, width=64)
    ds = what_if(arch, 8, members=2, threshold=0.5)
    assert ds.change.values[0] == "as given"
    single = predict(arch.changed(**{"residual.branch": 2.0}), 8, members=2, threshold=0.5)
    row = ds.sel(change="residual scale × 2")
    assert float(row.overlap_at_depth) == pytest.approx(float(single.mean_overlap.isel(layer=-1).mean()))
    assert float(row.collapse_layer) == np.median(single.collapse_layer)
    layers = np.minimum(ds.collapse_layer.values, 9)
    moved = np.abs(np.log(layers / layers[0]))
    assert moved[list(ds.change.values).index(ds.attrs["largest"])] == moved.max()
    result = called("torch-encoder", "--depth", 2, "--d", 32, "--heads", 4, "--n", 4, "--what-if")
    assert "norm: pre" in result.output and "The collapse moves most with" in result.output


def test_map_marks_where_both_failures_are_avoided(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arch = Architecture.preset("gpt2", depth=6, d=64, heads=4, std=0.1)
    ds = phase_map(arch, 8, logits=(0.1, 100.0), residual=(0.1, 3.0), threshold=0.6)
    assert ds.avoided.values.tolist() == (np.isinf(ds.collapse_layer) & (ds.entropy_share >= 0.2)).values.tolist()
    assert float(ds.entropy_share.sel(logits=100.0).max()) < 0.2  # sharp: attention fails
    assert ds.overlap_at_depth.sel(residual=3.0, logits=0.1) > ds.overlap_at_depth.sel(residual=0.1, logits=0.1)
    fp.plot.phases(ds).savefig(tmp_path / "map.png")
    with pytest.raises(InputError, match="no map"):
        fp.plot.phases(predict(arch, 4))


def test_changes_scale_what_they_say():
    arch = Architecture.preset("llama", depth=2, d=64, heads=4, kv_heads=2)
    assert with_logits(arch, 3).attention.logit_scale == pytest.approx(3 / 4)
    more = with_heads(arch, 2)
    assert (more.attention.heads, more.attention.head_dim, more.attention.kv_heads) == (8, 8, 4)
    assert more.attention.logit_scale == pytest.approx(1 / np.sqrt(8))
    with pytest.raises(InputError, match="whole heads"):
        with_heads(arch, 1 / 8)


def test_prediction_and_network_in_one_figure():
    arch = Architecture.preset("gpt2", depth=2, d=64, heads=4)
    figure = fp.plot.layers(predict(arch, 4, members=2), predict(arch, 4, members=2, seed=1))
    assert len(figure.axes) == 4
    with pytest.raises(InputError, match="network"):
        fp.plot.layers(
            predict(arch, 4), fp.solve(fp.models.SelfAttention(1.0), fp.initial.uniform(), t_end=0.1, dt=0.1)
        )


def test_verdicts():
    arch = Architecture.preset("gpt2", depth=3, d=64, heads=4, std=0.2)
    ds = predict(arch, 6, members=3, threshold=0.2)
    assert verdict(ds).startswith(f"collapses at layer {np.median(ds.collapse_layer):.0f} ")
    assert verdict(predict(arch, 6, members=3)).startswith("keeps the mean overlap below")
    sharp = arch.changed(**{"attention.scale": 100.0})
    assert "too sharp" in verdict(predict(sharp, 6))
    flat = arch.changed(**{"attention.scale": 1e-3})
    assert "nearly even" in verdict(predict(flat, 6))
