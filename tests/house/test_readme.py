"""README's code runs, in order, and its commands exist."""

import re
import shlex

import code_blocks
from places import ROOT

import recurrent as rec

README = (ROOT / "README.md").read_text()


def test_the_python_blocks_run():
    done = code_blocks.run(ROOT / "README.md")
    assert done.returncode == 0, done.stdout + done.stderr


def commands(text: str) -> list[list[str]]:
    """The words of every command line in shell blocks and inline code, comments and prompts removed.

    >>> commands("```bash\\n$ make demo  # a table\\n```\\nThen `make test`.")
    [['make', 'demo'], ['make', 'test']]
    """
    # all fences in pairs, or a closing one would be taken for an opening one without a language
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = [body for language, body in fences if language in ("", "bash", "sh", "shell", "console")]
    inline = re.findall(
        r"`((?:make|python -m|uv run)\s[^`\n]+)`",
        re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE),
    )
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines + inline if (words := shlex.split(line, comments=True))]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def unknown(words: list[str]) -> list[str]:
    """What a command names that does not exist: a make target, or a module of this project."""
    if words[0] == "make":
        return [
            word
            for word in words[1:]
            if "=" not in word and not word.startswith("-") and word not in targets()
        ]
    if "-m" in words and words.index("-m") + 1 < len(words):
        module = words[words.index("-m") + 1]
        ours = module.partition(".")[0] in ("experiments", "benchmarks", "recurrent")
        return [module] if ours and not exists(module) else []
    return []


def exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_the_commands_exist():
    assert [word for words in commands(README) for word in unknown(words)] == []


def test_a_command_that_does_not_exist_is_named():
    assert unknown(["make", "demo", "tset", "PYTHON=python3.12"]) == ["tset"]
    assert unknown(["uv", "run", "python", "-m", "experiments.no_such_claim", "smoke"]) == [
        "experiments.no_such_claim"
    ]
    assert unknown(["python", "-m", "venv", ".venv"]) == []


def test_readme_names_both_lanes():
    assert {"make test", "make test-medium", "make demo"} <= {
        " ".join(words[:2]) for words in commands(README)
    }


def test_readme_counts_the_cells():
    assert f"{len(rec.CELLS)} cells" in README
