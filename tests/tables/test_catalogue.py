"""What the table of cells says: parameters as printed in papers, formulas, solvers, published models."""

import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lab_runs import heard, run

import recurrent as rec
from experiments.__main__ import main
from experiments.errors import guarded
from experiments.models import inputs
from experiments.models.base import EveryStep, LastStep
from experiments.models.cell_with_readout import CellWithReadout, with_readout
from experiments.tables import catalogue
from experiments.tasks.adding import Adding
from recurrent import registry

pytest_plugins = ["lab_fixtures"]


def network(cell, output_size, bias=True, skip=False):
    return with_readout(cell, output_size, EveryStep(), bias=bias, skip=skip)


def lmu(input_size, hidden_size, bias=False):
    return rec.LMU(input_size, hidden_size, order=4, theta=4.0, bias=bias)


# Printed by Hochreiter & Schmidhuber (1997), table 10, for their experiments; by Gers, Schmidhuber & Cummins (2000) for
# theirs; by the notebooks of Voelker, Kajić & Eliasmith (2019), from which the numbers that are not trained are taken
# off: order * (order + 1) a layer, in Ā and B̄; and what "68k" stands for in papers with 128 units.
WEIGHTS = {
    "1, four blocks of 1": (network(rec.HS97(7, 4, bias="gates"), 7, bias=False), 264),
    "1, three blocks of 2": (network(rec.HS97(7, 6, block_size=2, bias="gates"), 7, bias=False), 276),
    "2a, 2b": (network(rec.HS97LongLag(101, 1), 101, bias=False, skip=True), 10_504),
    **{
        f"2c, p = {p}": (network(rec.HS97(p + 4, 2), 2, bias=False), printed)
        for p, printed in {50: 364, 100: 664, 200: 1_264, 500: 3_064, 1000: 6_064}.items()
    },
    "3": (network(rec.HS97(1, 3, bias="hidden"), 1, bias=False), 102),
    "4, 5": (network(rec.HS97(2, 4, block_size=2, bias="hidden"), 1), 93),
    "6a": (network(rec.HS97(8, 4, block_size=2, bias="hidden"), 4), 156),
    "6b": (network(rec.HS97(8, 6, block_size=2, bias="hidden"), 8), 308),
    "continual embedded Reber grammar": (network(rec.GersBlock(7, 8, block_size=2), 7, skip=True), 424),
    "Mackey-Glass, LSTM": (
        network(rec.stack(rec.LSTM(1, 25), rec.LSTM(25, 25), rec.LSTM(25, 25), rec.LSTM(25, 25)), 1),
        18_026,
    ),
    "Mackey-Glass, LMU": (network(rec.stack(lmu(1, 49), *[lmu(49, 49)] * 3), 1), 18_130 - 4 * 20),
    "Mackey-Glass, LMU, corrected": (
        network(rec.stack(lmu(1, 49, True), *[lmu(49, 49, True)] * 3), 1),
        18_326 - 4 * 20,
    ),
    "Mackey-Glass, hybrid, corrected": (
        network(rec.stack(lmu(1, 40, True), rec.LSTM(40, 25), lmu(25, 40, True), rec.LSTM(40, 25)), 1),
        18_020 - 2 * 20,
    ),
    "psMNIST, LMU": (network(rec.LMU(1, 212, order=256, theta=784.0), 10), 167_819 - 256 * 257),
    "sMNIST, LSTM": (network(rec.LSTM(1, 128), 10), 67_850),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_network_has_as_many_weights_as_printed(name):
    model, printed = WEIGHTS[name]
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == printed


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (lambda d, h: 3 * d * h + 9 * h * h, "3dh + 9h²"),
        (lambda d, h: d * h + h * (h - 1) // 2 + h, "dh + h²/2 + h/2"),
        (lambda d, h: 2 * d * h + 4 * h - 2, "2dh + 4h - 2"),
        (lambda d, h: d * d + 1000, "d² + 1,000"),
        (lambda d, h: h // 16 * h, "h²/16"),
        (lambda d, h: 0, "0"),
    ],
)
def test_a_count_becomes_its_formula(count, written):
    assert catalogue.formula(count) == written


def test_a_count_that_is_no_polynomial_is_refused():
    with pytest.raises(ValueError, match="no quadratic polynomial"):
        catalogue.formula(lambda d, h: h**3)


def test_a_row_says_what_a_cell_is():
    (entry,) = [entry for entry in registry.ENTRIES["Linear recurrences"] if entry.name == "lru"]
    assert (entry.year, entry.build) == (2023, rec.LRU)
    row = catalogue.row(entry.name, entry.build, entry.source, entry.about)
    assert (row.parameters, row.state, row.linear_form, row.solvers) == (
        "3dh + 2h² + 3h",
        "h: 2h",
        "Diagonal",
        "SFCAN",
    )
    assert catalogue.row("lstm", rec.LSTM)[3:] == ("4dh + 4h² + 4h", "h, c: 2h", "", "SFCN")


def test_every_family_is_in_the_table_of_families():
    written = catalogue.families()
    assert all(f"`{name}`" in written for name in rec.CELLS)
    assert len(rec.CELLS) == sum(map(len, registry.ENTRIES.values()))
    assert all(1985 < entry.year < 2030 for entry in registry.entries())


def test_the_cells_are_listed_one_a_line():
    listed = heard(lambda: main(["cells", "lstm", "mut2"])).out.splitlines()
    assert listed[0].split()[:2] == ["cell", "source"]
    assert listed[1].startswith("lstm ") and listed[1].endswith("SFCN")
    assert "dh + 5h² + 3h" in listed[2]
    assert any(line.startswith("lstm(forget_bias=1.0, peepholes=False") for line in listed)
    assert any("c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g)" in line for line in listed)


def test_a_cell_with_options_is_described_with_them():
    listed = heard(lambda: main(["cells", "lstm(peepholes=True)", "lstm-v"])).out.splitlines()
    assert "4dh + 4h² + 7h" in listed[1] and "4dh + 4h² + 7h" in listed[2]


def test_an_unknown_cell_is_one_line():
    outcome = heard(lambda: guarded(lambda: main(["cells", "lsmt"])))
    assert outcome.code == 2
    assert outcome.err.startswith("error: --cell: unknown cell 'lsmt'; did you mean lstm?")


def test_every_published_model_is_a_cell_or_has_a_reason():
    content = tomllib.loads(catalogue.MODELS.read_text(encoding="utf-8"))
    assert set(content["cells"].values()) <= set(rec.CELLS)
    elsewhere = [model for part in content["not_implemented"] for model in part["models"]]
    assert len(set(elsewhere)) == len(elsewhere)
    assert not set(elsewhere) & set(content["cells"])
    assert all(part["reason"] and "\n" not in part["reason"] for part in content["not_implemented"])


def test_regular_steps_are_what_each_cell_reads():
    xs = jnp.arange(12.0).reshape(3, 2, 2)
    one = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(inputs.fit(rec.GRU(2, 3), xs), xs)
    image = inputs.fit(rec.ConvLSTM(2, 3, height=1, width=1), xs)
    np.testing.assert_array_equal(image, xs[:, :, None, None])
    times = inputs.fit(rec.CfC(2, 3, dt=None), xs)
    np.testing.assert_array_equal(times.dt, one)
    stamps = inputs.fit(rec.PhasedLSTM(2, 3), xs)
    np.testing.assert_array_equal(stamps.t, [[1, 1], [2, 2], [3, 3]])
    gaps = inputs.fit(rec.GRUD(2, 3), xs)
    for leaf, want in zip(gaps, (xs, np.ones_like(xs), np.ones_like(xs)), strict=True):
        np.testing.assert_array_equal(leaf, want)


@pytest.mark.medium
@pytest.mark.parametrize("name", ["conv_lstm(height=1, width=1)", "gru_d", "phased_lstm"])
def test_a_cell_with_inputs_of_its_own_trains(name, compile_once, tmp_path):
    outcome = run(tmp_path, "--cell", name)
    assert outcome.code == 0, outcome.err


def test_a_cell_that_cannot_read_a_task_says_why(tmp_path):
    outcome = run(tmp_path, "--cell", "conv_lstm")
    assert outcome.code == 2
    assert "reads inputs of shape (8, 8, 2), the task gives vectors of 2" in outcome.err


def test_a_readout_reads_outputs_and_inputs_of_the_steps_that_it_predicts():
    model = CellWithReadout(rec.HS97LongLag(2, 1), 3, LastStep(), bias=False, skip=True)
    params = model.init(jax.random.key(0))
    batch = Adding(num_steps=10, variant="pascanu").sample(jax.random.key(1), 4)
    _, ys = rec.unroll(model.cell, params.cell, batch.inputs, mask=batch.mask)
    predictions, _ = model.apply(params, batch, carry=(), key=None)
    last = np.asarray(batch.mask).sum(0) - 1
    for b, t in enumerate(last):
        want = ys[t, b] @ params.readout.w + batch.inputs[t, b] @ params.readout.skip
        np.testing.assert_allclose(predictions[b], want, rtol=1e-6)
    assert params.readout.b is None
