"""Flags as a person types them: several values a flag are a grid, every mistake is one line that names its flag."""

import contextlib
import io
import os
import re
import textwrap
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from experiments.errors import Fault, nearest
from experiments.lab.plan import configs
from experiments.lab.plan.configs import Config

SHORT = {
    flag: f"; did you mean {meant}?"
    for meant, flags in {
        "--learning-rate": ("--lr", "--rate"),
        "--num-seeds": ("--seeds", "--networks"),
        "--num-updates": ("--epochs", "--updates", "--iterations"),
        "--hidden-size": ("--units", "--hidden"),
        "--batch-size": ("--batch",),
    }.items()
    for flag in flags
}
"""What people call flags elsewhere, where another flag is spelled more alike."""

WIDTH = 100  # characters of a line of help

COMPLAINTS = {
    r"no type matching \{None\}\|FLOAT could .*? from \[('.*?')\]\..*": r"expected a number or None, got \1",
    r"invalid literal for int\(\) with base 10: (.*)": r"expected an integer, got \1",
    r"could not convert string to float: (.*)": r"expected a number, got \1",
    r"Missing value\. Expected 1 values\.": "expected a value",
}
"""What tyro says, and how everything else here says it."""


def flag_of(name: str) -> str:
    """The flag of a field.

    >>> flag_of("num_steps")
    '--num-steps'
    """
    return f"--{name.replace('_', '-')}"


def take(rest: list[str], flag: str, *, many: bool = False) -> list[str] | None:
    """Remove ``flag`` and its values from ``rest``; the values, or None where it is absent.

    Raises:
        Fault: it has no value, or is given twice and takes one.
    """
    values: list[str] = []
    found = False
    while any(word == flag or word.startswith(f"{flag}=") for word in rest):
        found = True
        at = next(i for i, word in enumerate(rest) if word == flag or word.startswith(f"{flag}="))
        word = rest.pop(at)
        taken = [word.partition("=")[2]] if "=" in word else []
        while at < len(rest) and not rest[at].startswith("--") and (many or not taken):
            taken.append(rest.pop(at))
        if not any(taken):
            raise Fault(f"{flag}: expected a value")
        if values and not many:
            raise Fault(f"{flag}: given twice")
        values += taken
    return values if found else None


def switch(rest: list[str], flag: str) -> bool:
    """Remove a flag that takes no value; whether it was there."""
    present = flag in rest
    rest[:] = [word for word in rest if word != flag]
    return present


def parse_grid(base: Config, rest: Sequence[str], others: Sequence[str]) -> dict[str, list[Any]]:
    """The values of every flag in ``rest``, by field, each checked against the configuration ``base``.

    ``others`` are further flags that a person may have meant.

    Raises:
        Fault: a flag is unknown, or a value is missing or out of range.
    """
    words = _split(base, rest, others)
    first = {flag: values[0] for flag, values in words.items()}
    start = configs.flat(_parse(base, first))
    values = {}
    for flag, given in words.items():
        name = flag.removeprefix("--").replace("-", "_")
        # each further value beside the first values of all other flags: two that belong together are checked so
        found = [
            start[name],
            *(configs.flat(_parse(base, {**first, flag: word}))[name] for word in given[1:]),
        ]
        if len({repr(value) for value in found}) < len(found):
            raise Fault(f"{flag}: a value is given twice in {' '.join(given)}")
        values[name] = found
    return values


def _split(base: Config, rest: Sequence[str], others: Sequence[str]) -> dict[str, list[str]]:
    known = [flag_of(name) for name in configs.flat(base) if name != "cell"]
    words: dict[str, list[str]] = {}
    loose: list[str] = []
    flag = ""
    for word in rest:
        if not word.startswith("--"):
            (words[flag] if flag else loose).append(word)
            continue
        written, _, value = word.partition("=")
        flag = written.replace("_", "-")
        if flag in others:
            raise Fault(f"{flag}: takes no value")
        if flag not in known:
            hint = nearest(flag, [*known, "--cell", "--out", "--device", *others])
            raise Fault(f"{written}: unknown flag{SHORT.get(flag, hint)}")
        if flag in words:
            raise Fault(f"{flag}: given twice; several values stand behind one flag")
        words[flag] = [value] if value else []
    if loose:
        raise Fault(
            f"unknown argument {', '.join(loose)} (a preset or verb comes first, flags start with --)"
        )
    for flag, values in words.items():
        if not values:
            raise Fault(f"{flag}: expected a value")
    return words


def _parse(base: Config, words: Mapping[str, str]) -> Config:
    import tyro

    listed, optional = _flags_of(base, _is_list), _flags_of(base, _is_optional)
    arguments = []
    for flag, word in words.items():
        if flag in optional and word.lower() == "none":
            word = "None"
        arguments += [flag, *(word.split(",") if flag in listed else [word])]
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(complaint), _wide():
            return tyro.cli(type(base), args=arguments, default=base)
    except SystemExit as error:
        line = _one_line(complaint.getvalue())
        word = words.get(line.partition(":")[0], "")
        raise Fault(f"{line}{_joined(word) if line.endswith(f', got {word!r}') else ''}") from error


def _joined(word: str) -> str:
    """How several numbers are written that a comma joins; the empty string for all else.

    >>> _joined("1e-3,3e-3"), _joined("truncated(k1=5,k2=10)")
    ('; several values are words: 1e-3 3e-3', '')
    """
    are_numbers = re.fullmatch(r"[-+.\deE]+(,[-+.\deE]+)+", word)
    return f"; several values are words: {word.replace(',', ' ')}" if are_numbers else ""


def _flags_of(base: Config, holds: Callable[[Any], bool]) -> set[str]:
    """The flags whose type is such a one."""
    hints = typing.get_type_hints(type(base))
    hints |= typing.get_type_hints(type(base.task)) if configs.task_fields(type(base)) else {}
    return {flag_of(name) for name, hint in hints.items() if holds(hint)}


def _is_list(hint: Any) -> bool:
    """A list is one word with commas."""
    return typing.get_origin(hint) is tuple


def _is_optional(hint: Any) -> bool:
    """None is a value, in any case."""
    return type(None) in typing.get_args(hint)


@contextlib.contextmanager
def _wide() -> Iterator[None]:
    """A terminal so wide that tyro breaks no line."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "2000"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _one_line(complaint: str) -> str:
    """What tyro says about one mistake, without its frame and its help."""
    lines = [line.strip(" │") for line in complaint.splitlines()]
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r"[-─╭╮╰╯]{3,}.*", line)]
    body = lines[rules[0] + 1 : rules[1]] if len(rules) > 1 else lines
    text = " ".join(" ".join(body).split())
    field = re.search(
        r"validation errors? for \w+ (?:Value error, (.*?)|(\w+) (.*?)) \[type=\w+, input_value=(.*?), input_type",
        text,
    )
    if field is not None:
        both, name, message, value = field.groups()
        return (
            configs.as_flag(both)
            if both
            else f"{flag_of(name)}: {message[0].lower()}{message[1:]}, got {value}"
        )
    task = re.match(r"^Error parsing task: (.*)", text)
    if task is not None:
        return configs.as_flag(task[1])
    text = re.sub(r"^Error parsing (--[\w-]+)(?: \(.*?\))?:", r"\1:", text)
    text = re.sub(r"^(.*?) for argument '(--[\w-]+)'\.?", r"\2: \1.", text)
    choice = re.match(r"(--[\w-]+): invalid choice '(.*?)'\. Expected one of \((.*?)\)", text)
    if choice is not None:
        flag, got, listed = choice.groups()
        known = re.findall(r"'([^']*)'", listed)
        return f"{flag}: expected one of {', '.join(known)}, got {got!r}{nearest(got, known)}"
    for complaint, expected in COMPLAINTS.items():
        text = re.sub(complaint, expected, text)
    return text


def flag_help(kind: type[Config], default: Config, command: str) -> str:
    """Every flag of a configuration with its meaning, unit and default."""
    import tyro

    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit), _wide():
        tyro.cli(kind, args=["--help"], default=default, prog=command)
    return "\n".join(_set(shown.getvalue().partition("\n\n")[2].strip()))


def _set(text: str) -> Iterator[str]:
    """Help in lines of `WIDTH`: what its source breaks is one paragraph, and what is for other readers is left out."""
    paragraphs, is_example = [""], False
    for line in map(str.rstrip, plain(text).splitlines()):
        is_rule = re.fullmatch(r" *-{3,}", line) is not None
        is_example = not is_rule and (line.lstrip().startswith(">>>") or (is_example and line != ""))
        before, indent = paragraphs[-1], len(line) - len(line.lstrip())
        if is_example or line == before == "":
            continue
        if is_rule:
            if before == "":
                paragraphs.pop()
            paragraphs.append(f" {'-' * (WIDTH - 2)}")
        elif not re.match(r" +-", line) and before.strip(" -") and indent > 1 and _indent(before) == indent:
            paragraphs[-1] += f" {line.strip()}"
        else:
            paragraphs.append(line)
    for paragraph in paragraphs[1:]:
        after = " " * _indent(paragraph)
        lines = textwrap.wrap(
            paragraph, WIDTH, subsequent_indent=after, break_on_hyphens=False, break_long_words=False
        )
        yield from lines or [""]


def _indent(paragraph: str) -> int:
    """Where the words of a paragraph begin: behind the name of a flag, or at its first word."""
    named = re.match(r"  -.*?\S {2,}(?=\S)", paragraph)
    return named.end() if named else len(paragraph) - len(paragraph.lstrip())


def plain(text: str) -> str:
    """A docstring for a terminal: without rST's double backticks.

    >>> plain("marks in ``mask``")
    'marks in mask'
    """
    return text.replace("``", "")
