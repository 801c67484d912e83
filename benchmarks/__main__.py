"""Speed and memory, measured: `python -m benchmarks NAME [options]`; without a name, what there is."""

import runpy
import sys
from pathlib import Path

from experiments.errors import Fault, guarded, nearest


def names() -> dict[str, str]:
    """Every benchmark and the first line of its description."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "argparse" in text and not path.stem.startswith("_"):
            found[path.stem] = text.splitlines()[0].strip('"')
    return found


def main() -> None:
    """Run the benchmark that the first word names."""
    known = names()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        width = max(map(len, known))
        print("\n".join(f"{name:{width}}  {about}" for name, about in known.items()))
        return
    name = sys.argv.pop(1)
    if name not in known:
        raise Fault(f"there is no benchmark {name}{nearest(name, known)}")
    runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    sys.exit(guarded(main))
