"""Checkpoints that are whole or not there, and whose damage is named: orbax, and a manifest of our own.

Orbax restores a flipped bit and a wrong dtype without a word. So every step has a manifest with the sha256 of each of
its files, and the description of every leaf beside the arrays. Orbax's CheckpointManager is not used: what it has
committed is visible before it has a manifest, and a process killed in between could not be told from damage. Orbax
writes into ``.unfinished/`` instead, the manifest is added, all of it is flushed to the disk, and one rename makes it
a step. The layout is that of a CheckpointManager, which can read the folder.
"""

import contextlib
import dataclasses
import functools
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from experiments.errors import FAILED, Fault
from experiments.lab.storage.harmless import Harmless
from experiments.lab.storage.manifest import UNFINISHED, clear, move_aside, seal, survey
from experiments.lab.storage.records import fsync, reason, unwritten

ROOM = Path("n" * 100, "n" * 100)
"""About the longest path of a file within a step, by orbax's names while it is written."""


class Checkpoints:
    """The checkpoints of one run, open for writing.

    Opening moves every damaged step to ``damaged/`` beside ``folder`` and names it in ``notices`` and on stderr;
    what an interrupted save left behind is removed without a word. `read` only looks.

    Args:
        folder: where the steps are; created where it is missing.
        keep: how many of the newest steps stay.

    Raises:
        Fault: there are steps, but no good one (code 2; nothing is touched); the disk refuses (code 1).
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"keep has to be at least 1, got {keep}")
        self.folder, self.keep = Path(folder), keep
        self._steps, damaged = survey(self.folder)
        self.notices: list[str] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fsync(self.folder.parent)
            # a path that is too long is known now, not at the first save
            with contextlib.suppress(FileNotFoundError):
                (self.folder.absolute() / ROOM).stat()
            clear(self.folder)
            for step, what in damaged.items():
                place = move_aside(self.folder, step)
                self.notices.append(
                    f"{_name(folder, step)}: {what}; moved to {place}, {self._steps[-1]} is used"
                )
                print(self.notices[-1], file=sys.stderr)
            self._link = Harmless(self.folder)
        except OSError as error:
            raise unwritten(folder, error) from error
        self._checkpointer = _new_checkpointer()

    def latest(self) -> int | None:
        """The newest good step, or None."""
        return self._steps[-1] if self._steps else None

    def restore(self, template: Any, step: int | None = None) -> tuple[Any, Any]:
        """The tree and the meta of a step, by default the newest.

        Args:
            template: a pytree of arrays or `jax.ShapeDtypeStruct`; each leaf is restored as its kind (NumPy, or
                JAX with its sharding where it is committed to one). Typed keys are restored as such.
            step: one of the good steps.

        Raises:
            Fault: there is no such step, or it does not fit the template: a leaf, a shape or a dtype differs.
        """
        step = self.latest() if step is None else step
        if step is None or step not in self._steps:
            raise Fault(f"{self.folder} has no good checkpoint{'' if step is None else f' {step}'}")
        return _restore(self._checkpointer, self._link.path / str(step), _name(self.folder, step), template)

    def save(self, step: int, tree: Any, meta: dict[str, Any], template: Any = None) -> None:
        """Write a step: when this returns, it would survive a loss of power, and only the newest ``keep`` are left.

        Args:
            step: later than every step so far.
            tree: a pytree of arrays; typed keys are welcome, weak types come back as strong ones.
            meta: what JSON can hold.
            template: what the step has to be readable as: given one, it is read back before it counts.

        Raises:
            Fault: with code 1: the disk is full, what was written does not come back, or something else went wrong; the
                earlier steps stand.
        """
        name = _name(self.folder, step)
        if self._steps and step <= self._steps[-1]:
            raise Fault(f"{name} was not written: there is {self._steps[-1]} already", FAILED)
        arrays, leaves = _stored(tree)
        unfinished = self.folder / UNFINISHED / str(step)
        try:
            place = self._link.path / UNFINISHED / str(step)
            _write(self._checkpointer, place, arrays, {"meta": meta, "leaves": leaves})
            if template is not None:
                _check_bits(_restore(self._checkpointer, place, "what was written", template)[0], arrays)
            seal(unfinished)
            os.rename(unfinished, self.folder / unfinished.name)
            fsync(self.folder)
            self._steps.append(step)
            while len(self._steps) > self.keep:
                # first out of sight, then removed: a process killed in between leaves no half a step
                oldest = self.folder / str(self._steps.pop(0))
                os.rename(oldest, self.folder / UNFINISHED / oldest.name)
        except Exception as error:  # orbax and tensorstore report a full disk in several ways
            raise unwritten(name, error) from error
        finally:
            shutil.rmtree(self.folder / UNFINISHED, ignore_errors=True)

    def discard(self) -> None:
        """Remove the newest good step, so that an earlier one may be saved again."""
        newest = self.folder / str(self._steps[-1])
        try:
            (self.folder / UNFINISHED).mkdir(exist_ok=True)
            os.rename(newest, self.folder / UNFINISHED / newest.name)
            fsync(self.folder)
        except OSError as error:
            raise unwritten(self.folder, error) from error
        self._steps.pop()
        shutil.rmtree(self.folder / UNFINISHED, ignore_errors=True)

    def close(self) -> None:
        """Release what orbax holds; a second time does nothing."""
        self._checkpointer.close()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def read(folder: Path, template: Any) -> Any:
        """The tree of the newest good step, as `restore` gives it, without touching the folder.

        Raises:
            Fault: there is no good step, or it does not fit the template.
        """
        steps, damaged = survey(folder)
        if not steps:
            raise Fault(f"{folder} has no checkpoint")
        for step, what in damaged.items():
            print(f"{_name(folder, step)}: {what}; {steps[-1]} is used", file=sys.stderr)
        name = _name(folder, steps[-1])
        try:
            link = Harmless(folder)
        except OSError as error:
            raise Fault(f"{name} cannot be read: {reason(error)}") from error
        with contextlib.closing(link), contextlib.closing(_new_checkpointer()) as checkpointer:
            return _restore(checkpointer, link.path / str(steps[-1]), name, template)[0]


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """What is stored about a leaf; ``impl`` names the generator of a typed key."""

    dtype: str
    shape: tuple[int, ...]
    impl: str | None = None

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def _name(folder: Path, step: int) -> str:
    return f"checkpoint {step} of {folder}"


def _by_path(tree: Any) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def _stored(tree: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays that have elements (orbax refuses others), and the description of every leaf; both by path."""
    leaves = _by_path(tree)
    keys = [path for path, leaf in leaves.items() if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)]
    impls = {path: str(jax.random.key_impl(leaves[path])) for path in keys}
    raw = {path: jax.random.key_data(leaf) if path in impls else leaf for path, leaf in leaves.items()}
    arrays = {path: np.asarray(array) for path, array in jax.device_get(raw).items()}
    described = {
        path: dataclasses.asdict(_Leaf(leaf.dtype.name, tuple(leaf.shape), impls.get(path)))
        for path, leaf in leaves.items()
    }
    return {path: array for path, array in arrays.items() if array.size}, described


def _new_checkpointer() -> Any:
    import orbax.checkpoint as ocp

    _quiet()
    return ocp.Checkpointer(ocp.CompositeCheckpointHandler("state", "meta"))


def _write(checkpointer: Any, step: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    import orbax.checkpoint as ocp

    # orbax refuses an item without arrays
    items = {"state": ocp.args.PyTreeSave(arrays)} if arrays else {}
    checkpointer.save(step, args=ocp.args.Composite(**items, meta=ocp.args.JsonSave(meta)))


def _restore(checkpointer: Any, place: Path, name: str, template: Any) -> tuple[Any, Any]:
    """The tree and the meta of the step at a harmless path; ``name`` is what people know it by."""
    import orbax.checkpoint as ocp

    asked = _by_path(template)
    try:
        items = checkpointer.restore(place, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))
        described = items["meta"]["leaves"].items()
        stored = {path: _Leaf(leaf["dtype"], tuple(leaf["shape"]), leaf["impl"]) for path, leaf in described}
        _check(name, stored, asked)
        kinds = {
            path: ocp.RestoreArgs(restore_type=np.ndarray) for path in stored if 0 not in stored[path].shape
        }
        args = ocp.args.Composite(state=ocp.args.PyTreeRestore(restore_args=kinds))
        arrays = checkpointer.restore(place, args=args)["state"] if kinds else {}
    except Fault:
        raise
    except Exception as error:  # the step is whole: it has another format, or somebody has just removed it
        raise Fault(f"{name} cannot be read: {reason(error)}") from error
    leaves = [_place(arrays.get(path), stored[path], leaf) for path, leaf in asked.items()]
    return jax.tree.unflatten(jax.tree.structure(template), leaves), items["meta"]["meta"]


def _check(name: str, stored: dict[str, _Leaf], asked: dict[str, Any]) -> None:
    """Fault where the leaves of a step are not those of a template."""
    for path in [*asked, *stored]:
        if path not in stored:
            raise Fault(f"{name} has no {path}")
        if path not in asked:
            raise Fault(f"{name} has {path}, which has no place here")
        here = _Leaf(asked[path].dtype.name, tuple(asked[path].shape))
        if str(stored[path]) != str(here):
            raise Fault(f"{name}: {path} is {stored[path]} there, {here} here")


def _check_bits(found: Any, written: dict[str, np.ndarray]) -> None:
    """Fault where a leaf that was read is not, bit for bit, what was written."""
    for path, array in _stored(found)[0].items():
        if array.tobytes() != written[path].tobytes():
            raise Fault(f"{path} comes back with other bits")


def _place(array: np.ndarray | None, stored: _Leaf, leaf: Any) -> Any:
    """An array of a step as the kind of leaf that the template has; None stands for one without elements."""
    if array is None:
        array = np.zeros(stored.shape, leaf.dtype)
    if isinstance(leaf, np.ndarray | np.generic):
        return array
    value = array if stored.impl is None else jax.random.wrap_key_data(jnp.asarray(array), impl=stored.impl)
    # an uncommitted array stays one: it follows those that it is computed with, and compiles to the same program
    return jax.device_put(value, leaf.sharding if getattr(leaf, "committed", True) else None)


@functools.cache
def _quiet() -> None:
    """Silence, for good, what is said beside an error that orbax raises: some of it comes after `save` has failed.

    Orbax logs an error with all its frames, from several threads; futures of tensorstore find the loop closed.
    """
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
    former = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            former(unraisable)

    sys.unraisablehook = hook
