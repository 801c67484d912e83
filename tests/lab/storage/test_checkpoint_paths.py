"""Checkpoints in folders of any name: what orbax and tensorstore take for a pattern or a URL is a name like others."""

import os
from pathlib import Path

import jax.numpy as jnp
import pytest
from checkpoint_samples import assert_same_bits, names

from experiments.errors import Fault
from experiments.lab.storage import checkpoint as checkpoints_module
from experiments.lab.storage.checkpoint import Checkpoints

TREE = {"a": jnp.arange(3.0) / 7}
ODD = {
    "bracket": "sweep[lr=1e-3]",
    "half a bracket": "]a[",
    "backslash": "back\\slash",
    "star": "st*r",
    "question": "wh?t",
    "percent": "a%20b%",
    "number sign": "a#b",
    "quotes": 'o\'clock "x"',
    "letters": "Müller_日本",
    "hyphen": "-out",
    "lines": "two\nlines\t",
    "home": "~",
    "variable": "$HOME",
    "braces": "{a,b};|&",
    "scheme": "gs:",
    "URL": "file:",
    "bytes": os.fsdecode(b"\xff\x01"),
}


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_folder_of_any_name_gives_back_what_it_took(name, tmp_path, monkeypatch):
    (tmp_path / "star").mkdir()
    with Checkpoints(tmp_path / "star" / "checkpoints") as other:  # what "st*r" stands for as a pattern
        other.save(1, {"a": jnp.zeros(3)}, {})
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    folder = tmp_path / name / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, TREE, {"step": step})
        assert_same_bits(checkpoints.restore(TREE, 1)[0], TREE)
    assert_same_bits(Checkpoints.read(Path("checkpoints"), TREE), TREE)
    assert names(folder) == ["1", "2"]
    assert names(tmp_path) == sorted({"star", name})


def test_a_path_too_long_for_a_step_is_refused_when_the_folder_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    while len(os.fsencode(os.getcwd())) < 3900:
        os.mkdir("n" * 90)
        os.chdir("n" * 90)
    with pytest.raises(Fault, match=r"^checkpoints was not written: File name too long$") as caught:
        Checkpoints(Path("checkpoints"))
    assert caught.value.code == 1
    os.chdir(tmp_path)


def test_a_step_that_cannot_be_read_as_what_it_has_to_be_is_none(tmp_path):
    folder = tmp_path / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        with pytest.raises(
            Fault, match=r"^checkpoint 1 of .* was not written: .*a.* is float32\[3\] there"
        ) as caught:
            checkpoints.save(1, TREE, {}, template={"a": jnp.zeros(2)})
        assert caught.value.code == 1 and names(folder) == []
        checkpoints.save(1, TREE, {}, template=TREE)
        assert checkpoints.latest() == 1


def test_a_step_that_comes_back_with_other_bits_is_none(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints"
    write = checkpoints_module._write

    def other_bits(checkpointer, step, arrays, meta):
        write(checkpointer, step, {path: array + 1 for path, array in arrays.items()}, meta)

    with Checkpoints(folder) as checkpoints:
        monkeypatch.setattr(checkpoints_module, "_write", other_bits)
        with pytest.raises(
            Fault, match=r"^checkpoint 1 of .* was not written: .*a.* comes back with other bits$"
        ):
            checkpoints.save(1, TREE, {}, template=TREE)
        assert names(folder) == []
