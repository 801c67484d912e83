"""Metrics and JSON files: what is written is read back, and no crash, full disk or garbage loses a row silently."""

import builtins
import errno
import json
import math
import os

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.errors import Fault
from experiments.lab.storage import records
from experiments.lab.storage.records import Records, read_json, read_rows, write_json


def rows(*updates):
    return [
        {"update": update, "seed_index": 0, "split": "training", "loss": 1 / (update + 3)}
        for update in updates
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def written(path, *updates):
    with Records(path) as file:
        for row in rows(*updates):
            file.append(row)
    return path.read_bytes()


def full(monkeypatch, owner, name, partly=None):
    """Let ``owner.name`` fail as on a full disk, after ``partly`` of it was done."""

    def refuse(*args, **kwargs):
        if partly is not None:
            partly(*args)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(owner, name, refuse)


def test_rows_come_back_with_all_their_digits_and_are_on_the_disk_at_once(path):
    with Records(path) as file:
        for number, row in enumerate(rows(0, 10, 20), start=1):
            file.append(row)
            assert read_rows(path) == rows(0, 10, 20)[:number]
    assert read_rows(path) == rows(0, 10, 20)
    written(path, 30)
    assert read_rows(path) == rows(0, 10, 20, 30)


def test_there_are_no_rows_without_a_file(path):
    assert read_rows(path) == []
    assert not path.exists()


def test_numbers_of_numpy_and_jax_become_json_and_what_is_not_finite_null(path):
    row = {
        "update": 3,
        "a": np.float32(0.1),
        "b": jnp.array(2.5),
        "c": jnp.array([1.0, jnp.nan, -jnp.inf]),
        "d": {"lag": (np.int64(4), 5), "g": math.nan, "on": np.True_},
        "e": jnp.array([1.5, jnp.inf], jnp.bfloat16),
    }
    with Records(path) as file:
        file.append(row)
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
        "update": 3,
        "a": float(np.float32(0.1)),
        "b": 2.5,
        "c": [1.0, None, None],
        "d": {"lag": [4, 5], "g": None, "on": True},
        "e": [1.5, None],
    }


def test_a_row_without_an_update_is_refused(path):
    with Records(path) as file:
        for row in ({"loss": 1.0}, {"update": 1.0}, {"update": True}):
            with pytest.raises(TypeError, match="integer update"):
                file.append(row)
        file.append({"update": np.int32(7)})
    assert read_rows(path) == [{"update": 7}]


def test_a_last_line_cut_anywhere_is_trimmed_and_named(path, capsys):
    whole, two = written(path, 0, 10, 20), len(written(path.with_name("other"), 0, 10))
    for end in range(two + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert read_rows(path) == rows(0, 10)
        assert len(path.read_bytes()) == end, "reading alone changes nothing"
        with Records(path) as file:
            assert path.read_bytes() == whole[:two]
            assert file.notices == (f"{path}: line 3 was cut and is trimmed",)
            assert capsys.readouterr().err == f"{path}: line 3 was cut and is trimmed\n"
            file.append(rows(20)[0])
        assert path.read_bytes() == whole


def test_zeros_that_lost_power_left_at_the_end_are_trimmed(path):
    whole = written(path, 0, 10)
    path.write_bytes(whole + bytes(100))
    Records(path).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("update", [-1, 0, 15, 20, 99])
def test_rows_of_later_updates_are_dropped_and_the_others_keep_their_bytes(path, update):
    whole = written(path, 0, 10, 10, 20, 30).splitlines(keepends=True)
    kept = [line for line in whole if json.loads(line)["update"] <= update]
    with Records(path, last_update=update) as file:
        assert path.read_bytes() == b"".join(kept)
        assert file.drop_rows_after(update) == 0
        file.append({"update": 100})
        assert file.drop_rows_after(99) == 1
        file.append({"update": 40})
    assert path.read_bytes() == b"".join(kept) + b'{"update": 40}\n'
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


GARBAGE = [
    b"{nonsense}",
    b"",
    b"[1, 2]",
    b"3",
    b'{"loss": 1.0}',
    b'{"update": "3"}',
    b'{"update": 3, "loss": NaN}',
    b'{"update": 3, "loss": -Infinity}',
    b'{"update": 3}{"update": 4}',
    b'{"update": 3, "x": "\xff"}',
    bytes(12),
]


@pytest.mark.parametrize("line", GARBAGE)
@pytest.mark.parametrize("number", [1, 3, 4])
def test_garbage_is_named_with_its_line_and_left_alone(path, line, number):
    lines = written(path, 0, 10, 20).splitlines()
    lines.insert(number - 1, line)
    content = b"\n".join(lines) + b'\n{"update": 30, "lo'
    path.write_bytes(content)
    for attempt in (read_rows, Records, lambda path: Records(path, last_update=0)):
        with pytest.raises(Fault, match=rf"metrics\.jsonl, line {number}: ") as caught:
            attempt(path)
        assert caught.value.code == 2
        assert path.read_bytes() == content


def test_a_full_disk_leaves_whole_rows(path, monkeypatch):
    whole = written(path, 0, 10)
    with Records(path) as file:
        raw = file._file

        class Full:
            fileno = staticmethod(raw.fileno)
            close = staticmethod(raw.close)

            def write(self, line):
                if len(line) < 40:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return raw.write(line[:-30])

        file._file = Full()
        with pytest.raises(Fault, match="was not written: no space left on the disk") as caught:
            file.append(rows(20)[0])
        assert caught.value.code == 1
        assert path.read_bytes() == whole
        full(monkeypatch, os, "fsync")
        with pytest.raises(Fault, match="no space left"):
            file.sync()


def test_a_full_disk_while_dropping_rows_drops_none(path, monkeypatch):
    whole = written(path, 0, 10)
    full(monkeypatch, os, "replace")
    with pytest.raises(Fault, match="no space left") as caught:
        Records(path, last_update=0)
    assert caught.value.code == 1
    assert path.read_bytes() == whole
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_json_comes_back_and_nothing_else_stays(tmp_path):
    path = tmp_path / "summary.json"
    obj = {"loss": [0.1, math.nan], "n": np.int64(3), "ü": "σ", "none": None, "nested": {"inf": -math.inf}}
    write_json(path, {"old": 1})
    mode = path.stat().st_mode
    write_json(path, obj)
    assert read_json(path) == {"loss": [0.1, None], "n": 3, "ü": "σ", "none": None, "nested": {"inf": None}}
    assert path.read_bytes().endswith(b"}\n")
    assert path.stat().st_mode == mode
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("where", ["open", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_json(tmp_path, monkeypatch, where):
    path = tmp_path / "summary.json"
    write_json(path, {"old": 1})
    if where == "open":
        monkeypatch.setattr(records.Path, "open", lambda self, mode: builtins.open("/dev/full", mode))
    else:
        full(monkeypatch, os, where)
    with pytest.raises(Fault, match=r"summary\.json was not written: no space left on the disk") as caught:
        write_json(path, {"new": 2})
    assert caught.value.code == 1
    monkeypatch.undo()
    assert read_json(path) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


def test_a_write_that_dies_leaves_the_old_json_and_a_file_that_is_temporary_by_its_name(
    tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    write_json(tmp_path / "config.json", {"old": 1})
    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(Killed):
        write_json(tmp_path / "config.json", {"new": 2})
    assert read_json(tmp_path / "config.json") == {"old": 1}
    left = [entry.name for entry in tmp_path.iterdir() if entry.name != "config.json"]
    assert len(left) == 1
    assert left[0].startswith(".config.json.")
    assert left[0].endswith(".tmp")


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": NaN}', b"\xff\xfe", b"{} {}"])
def test_json_that_is_none_is_a_fault_that_names_the_file(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(Fault, match=r"config\.json is not valid JSON") as caught:
        read_json(path)
    assert caught.value.code == 2
    assert path.read_bytes() == content


def test_json_that_is_missing_is_a_fault(tmp_path):
    with pytest.raises(Fault, match=r"config\.json cannot be read: No such file") as caught:
        read_json(tmp_path / "config.json")
    assert caught.value.code == 2
