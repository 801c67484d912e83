"""The Python blocks of Markdown files, run in order, each file with names of its own and warnings as errors."""

import subprocess
import sys
from pathlib import Path

from places import ROOT

# Each block is compiled where it stands, so that a traceback names the file's line; prompts are checked as doctests.
SCRIPT = """
import doctest, re, sys
for path in sys.argv[1:]:
    text, names = open(path, encoding="utf-8").read(), {"__name__": "page"}
    for block in re.finditer(r"^```python\\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        line = text[: block.start(1)].count("\\n")
        if ">>>" in block[1]:
            test = doctest.DocTestParser().get_doctest(block[1], names, path, path, line)
            failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(
                test, clear_globs=False
            ).failed
            if failed:
                sys.exit(1)
            names = test.globs
        else:
            exec(compile("\\n" * line + block[1], path, "exec"), names)
"""


def run(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Run them in one process of their own; its exit code and what it said."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *(str(path.relative_to(ROOT)) for path in paths)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
