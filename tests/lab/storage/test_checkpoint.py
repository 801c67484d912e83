"""Checkpoints: the same bits come back, into the template that was asked for and into no other."""

import shutil
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from checkpoint_samples import assert_same_bits, files, names, state, three_steps
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from experiments.errors import Fault
from experiments.lab.storage.checkpoint import Checkpoints
from experiments.lab.storage.manifest import MANIFEST


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "checkpoints"


@pytest.fixture
def copy(tmp_path):
    return three_steps(tmp_path / "run")


# -0.0 and NaNs with a payload: equal to others by value, not by their bits
BITS = {
    "float32": np.array([0x80000000, 0x7FC12345, 0xFFC00001, 0x00000001, 0x7F800000], np.uint32).view(
        np.float32
    ),
    "minus zero": np.full((3,), -0.0, np.float32),
    "float16": np.array([65504, -0.0, 6e-8], np.float16),
    "bool": np.array([[True], [False]]),
    "int8": np.array([-128, 127], np.int8),
    "uint8": np.array([0, 255], np.uint8),
    "int32": np.array(-(2**31), np.int32),
    "uint32": np.array([2**32 - 1, 0], np.uint32),
    "complex64": np.array([1 - 2j, complex(-0.0, np.inf)], np.complex64),
    "empty": np.zeros((0, 3), np.float32),
}


def test_all_bits_come_back(folder):
    tree = {
        **{name: jnp.asarray(value) for name, value in BITS.items()},
        "bfloat16": jnp.array([1.5, -0.0, 3e38], jnp.bfloat16),
        "keys": jax.random.split(jax.random.key(7), (2, 3)),
        "rbg": jax.random.key(8, impl="rbg"),
        "numpy": np.arange(6, dtype=np.int64).reshape(2, 3)[:, ::2],
        "state": state(3),
        "nothing": (None, [], {}),
        "odd ['names'].a/b": {"..": jnp.ones(2), "é\n": jnp.zeros(2)},
    }
    meta = {"wall_seconds": 0.1 + 0.2, "notes": ["σ"], "none": None}
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.latest() is None
        checkpoints.save(3, tree, meta)
        # NumPy's 64 bits have no place in a template of JAX's without x64
        for template in (tree, {**jax.eval_shape(lambda: {**tree, "numpy": 0}), "numpy": tree["numpy"]}):
            restored, found = checkpoints.restore(template)
            assert_same_bits(restored, tree)
            assert found == meta
            assert jnp.array_equal(jax.random.bits(restored["rbg"]), jax.random.bits(tree["rbg"]))
        assert isinstance(checkpoints.restore(tree)[0]["numpy"], np.ndarray)


def test_64_bits_come_back(folder, float64):
    tree = {"x": jnp.array([1 / 3, -0.0]), "n": jnp.array(2**60 + 1)}
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, tree, {})
        assert_same_bits(checkpoints.restore(tree)[0], tree)
    assert_same_bits(Checkpoints.read(folder, tree), tree)


def test_what_a_tree_without_elements_holds(folder):
    tree = {"a": (), "b": jnp.zeros((0,), jnp.int32)}
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, tree, {"seconds": 1})
        restored, meta = checkpoints.restore(tree)
    assert_same_bits(restored, tree)
    assert meta == {"seconds": 1}


def test_a_restored_state_is_donated_and_computed_with_like_the_one_that_was_saved(copy):
    with Checkpoints(copy) as checkpoints:
        restored, _ = checkpoints.restore(jax.eval_shape(lambda: state(0)))
    step = jax.jit(
        lambda old: old._replace(params=jax.tree.map(lambda leaf: leaf * 1.1, old.params)), donate_argnums=0
    )
    expected = step(state(30))
    assert not restored.params["w"].committed
    compiled = step._cache_size()
    assert_same_bits(step(restored), expected)
    assert step._cache_size() == compiled


def test_a_committed_template_decides_where_leaves_go(copy):
    mesh = Mesh(np.array(jax.devices()[:1]), ("seed",))
    sharding = NamedSharding(mesh, PartitionSpec())
    template = jax.device_put(state(0), sharding)
    with Checkpoints(copy) as checkpoints:
        restored, _ = checkpoints.restore(template)
    assert all(leaf.sharding == sharding for leaf in jax.tree.leaves(restored))
    assert_same_bits(restored, state(30))


def test_the_newest_are_kept_and_each_can_be_restored(folder):
    with Checkpoints(folder, keep=2) as checkpoints:
        for step in (5, 10, 100):
            checkpoints.save(step, state(step), {"step": step})
            assert names(folder) == sorted(map(str, [*(s for s in (5, 10, 100) if s <= step)][-2:]))
            assert checkpoints.latest() == step
        for step in (10, 100):
            restored, meta = checkpoints.restore(state(0), step)
            assert_same_bits(restored, state(step))
            assert meta == {"step": step}
        with pytest.raises(Fault, match="has no good checkpoint 5"):
            checkpoints.restore(state(0), 5)
        checkpoints.close()  # a second time does nothing
    with pytest.raises(ValueError, match="at least 1"):
        Checkpoints(folder, keep=0)


@pytest.mark.parametrize("step", [10, 30])
def test_a_step_that_is_not_newer_is_refused_and_the_stored_one_stands(copy, step):
    before = files(copy)
    with Checkpoints(copy) as checkpoints, pytest.raises(Fault, match="there is 30 already") as caught:
        checkpoints.save(step, state(1), {})
    assert caught.value.code == 1
    assert files(copy) == before


def test_the_manifest_is_sha256sums_and_the_folder_orbaxs(copy):
    import orbax.checkpoint as ocp

    lines = (copy / "30" / MANIFEST).read_text().splitlines()
    listed = {line.split("  ", 1)[1] for line in lines}
    assert listed == set(files(copy / "30")) - {MANIFEST}
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "-c", "--quiet", MANIFEST], cwd=copy / "30", check=True)
    with ocp.CheckpointManager(copy, options=ocp.CheckpointManagerOptions(read_only=True)) as manager:
        assert sorted(manager.all_steps()) == [10, 20, 30]
        meta = manager.restore(20, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        assert meta["meta"] == {"wall_seconds": 2.5}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"update": jnp.array(0.0)}, ".update is int32[] there, float32[] here"),
        (
            {"params": {"w": jnp.zeros((3, 4), jnp.bfloat16)}},
            ".params['w'] is float32[3,4] there, bfloat16[3,4] here",
        ),
        ({"params": {"w": jnp.zeros((4, 3))}}, ".params['w'] is float32[3,4] there, float32[4,3] here"),
        ({"params": {"v": jnp.zeros(1)}}, "has no .params['v']"),
        ({"opt_state": ()}, "has .opt_state[1][0].count, which has no place here"),
        ({"key": jax.ShapeDtypeStruct((2,), jnp.uint32)}, ".key is key<fry>[] there, uint32[2] here"),
        ({"key": "rbg"}, ".key is key<fry>[] there, key<rbg>[] here"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_in_one_line(copy, change, complaint):
    if change.get("key") == "rbg":
        change = {"key": jax.random.key(0, impl="rbg")}
    params = {**state(0).params, **change.get("params", {})}
    template = state(0)._replace(**{**change, "params": params})
    with Checkpoints(copy) as checkpoints:
        with pytest.raises(Fault, match=r"^checkpoint 30 of ") as caught:
            checkpoints.restore(template)
        assert caught.value.code == 2
        assert str(caught.value).endswith(complaint)
        assert_same_bits(checkpoints.restore(state(0))[0], state(30))


def test_a_save_is_quick(folder):
    """Measured: 0.02 s a save for 850 kB in 11 leaves on two idle cores; the bound leaves room for busy ones."""
    params = {name: jnp.ones(shape) for name, shape in {"x": (10, 512), "h": (128, 512), "b": (512,)}.items()}
    tree = {"params": params, "opt_state": optax.adam(1e-3).init(params), "key": jax.random.key(0)}
    seconds = []
    with Checkpoints(folder) as checkpoints:
        for step in range(7):
            start = time.perf_counter()
            checkpoints.save(step, tree, {"wall_seconds": 1.0})
            seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[3] < 0.5, seconds
