# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Vanishing gradients, measured
#
# A recurrent network that has to answer at step T for something it read at step 0 needs the derivative of its loss to
# travel T steps back. This notebook measures how much of it arrives, for several initialisations and cells, and then
# looks at what training made of two of them.

# %%
from pathlib import Path
from tempfile import mkdtemp

from experiments import lab

machine, _ = lab.start()  # the first line: what has to be set before JAX starts

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import recurrent as rec
from experiments import adding_problem
from experiments.tasks.adding import Adding

# %% [markdown]
# ## At the start
#
# The loss is the first output at the last step. `state_gradients` gives its derivative with respect to the state that
# every step reads, in one backward pass; `gradient_by_lag` orders the norms by their distance to the target.

# %%
NUM_STEPS, HIDDEN = 100, 64
xs = Adding(num_steps=NUM_STEPS).sample(jax.random.key(0), 32).inputs

uniform = {"input_init": "uniform", "recurrent_init": "uniform"}
cells = {
    "tanh RNN, U(±1/√h)": (rec.Elman(2, HIDDEN, **uniform), None),
    "tanh RNN, orthogonal": (rec.Elman(2, HIDDEN), None),
    "IRNN (relu, identity)": (rec.irnn(2, HIDDEN), None),
    "GRU, orthogonal": (rec.GRU(2, HIDDEN), None),
    "LSTM, forget bias 0, c": (rec.LSTM(2, HIDDEN, forget_bias=0.0, **uniform), "c"),
    "LSTM, forget bias 1, c": (rec.LSTM(2, HIDDEN), "c"),
    "LSTM, chrono, c": (rec.LSTM(2, HIDDEN, forget_bias=("chrono", NUM_STEPS)), "c"),
}


def last_output(ys, state):
    """The first output at the last step, added up over the batch."""
    return jnp.sum(ys[-1, :, 0])


relative = {}
for name, (cell, field) in cells.items():
    gradients = rec.diagnostics.state_gradients(cell, cell.init(jax.random.key(0)), xs, last_output)
    norms = rec.diagnostics.gradient_norms(gradients, field)
    by_lag = jnp.median(rec.diagnostics.gradient_by_lag(norms, NUM_STEPS - 1), axis=1)
    relative[name] = by_lag / by_lag[0]
    print(f"{name:24s} lag {NUM_STEPS - 1} over lag 0: {relative[name][-1]:.1e}")

# %%
figure, axes = plt.subplots(figsize=(8, 4.5))
for name, values in relative.items():
    axes.semilogy(values, label=name)
axes.set(xlabel="lag", ylabel="gradient norm, relative to lag 0", ylim=(1e-26, 1e4))
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# The cell decides less than its initialisation does. An LSTM with a forget bias of 0 and small uniform weights forgets
# half of c at every step; an orthogonal tanh network keeps more than that.

# %% [markdown]
# ## After training
#
# A short run of the adding problem, T = 30, one network of each cell. It leaves a folder; `open_run` reads it back,
# here or in any later session.

# %%
short = adding_problem.AddingConfig(
    task=Adding(num_steps=30, num_evaluation=256), hidden_size=32, num_updates=600, num_seeds=1
)
out = Path(mkdtemp())
runs = lab.run(lab.grid(short, cell=["elman", "lstm"]), out=out, progress=False)

# %%
figure, axes = plt.subplots(figsize=(8, 4.5))
for cell in ("elman", "lstm"):
    run = lab.open_run(out / cell)
    print(f"{run.label}: test MSE {run.summary['test']['mse']['mean']:.4f}, baseline {run.task.baseline:.4f}")
    rows = [row for row in run.metrics if row["split"] == "validation"]
    for row, style in ((rows[0], "--"), (rows[-1], "-")):
        flow = row["state_gradient"]
        axes.semilogy(flow["lag"], flow["all"], style, label=f"{run.label}, update {row['update']}")
axes.set(xlabel="lag", ylabel="norm of the state gradient")
axes.legend()
plt.show()

# %% [markdown]
# The parameters are plain pytrees: everything of the library works on them.

# %%
run = lab.open_run(out / "lstm")
batch = run.task.sample(jax.random.key(1), 4)
state, ys = rec.unroll(run.model.cell, run.params.cell, batch.inputs)
outputs, _ = run.model.apply(run.params, batch, carry=(), key=None)
print("asked for:", batch.targets[:, 0].round(2))
print("answered: ", outputs[:, 0].round(2))
