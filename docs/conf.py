"""How Sphinx makes the pages: guides are Markdown, the API pages are the docstrings, `make docs` builds both.

Nobody has to know reStructuredText to write a docstring: they are plain text with names in backticks, Google's
sections, doctests and indented equations, and `as_rst` takes care of the rest.
"""

import importlib
import importlib.metadata
import operator
import pkgutil
import re
import sys
from typing import Any

import jax
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import stringify_annotation

# Before any annotation is made: jaxtyping would write jaxlib's private name into each of them.
jax.Array.__name__ = "Array"
Key = importlib.import_module("recurrent.arrays").Key

project = "recurrent"
author = copyright = "The recurrent authors"
release = version = importlib.metadata.version("recurrent-lab")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"recurrent {release}"
html_copy_source = False
smartquotes = False  # a prime is not a quotation mark
toc_object_entries_show_parents = "hide"
add_module_names = False
maximum_signature_line_length = 100

# Whatever has a docstring and no underscore, in the order of its file; `__all__` is the order of the alphabet.
autodoc_default_options = {"members": True, "ignore-module-all": True, "special-members": "__call__"}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# A name in backticks links to where it is documented, and is code where it is not. A dotted name of ours that leads
# nowhere is an error; other projects' names, and those with an underscore in front, have no page here.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!recurrent\.).*"), ("py:.*", r"recurrent\.(.*\.)?_.*")]

# What these open goes on below a blank line as deep as it was.
OPENERS = re.compile(r"(Args|Returns|Raises|Yields):(\n|$)|(-|\d+\.) ")
# Kept are spans in backticks and one *word*; what is one character long means itself: *, |, an underscore at an end.
MARKUP = re.compile(r"``.+?``|`[^`]+`|(?<!\S)\*\w+\*(?![\w*])|[*|]|(?<=\w)_(?!\w)", re.DOTALL)


def as_rst(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText: what is indented on its own account is shown as it stands.

    >>> as_rst(["The map of [t, *b]:", "", "    h' = a h", "    y  = h"])
    ['The map of [t, \\\\*b]:', '', '.. code-block:: text', '', "    h' = a h", '    y  = h', '']
    """
    parts, opener = [], ""
    for part in re.split(r"\n(?:[ \t]*\n)+", "\n".join(lines).strip("\n")):
        if not part.startswith(" "):
            opener = part
        elif not OPENERS.match(opener):
            parts.append(f".. code-block:: text\n\n{part}")
            continue
        code = part.lstrip().startswith(">>>")
        parts.append(part if code else MARKUP.sub(_meaning_itself, part))
    return [*"\n\n".join(parts).split("\n"), ""]


def _meaning_itself(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) > 1 else f"\\{found[0]}"


def rewrite_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """The docstring as napoleon is to see it; a field of a NamedTuple that only says its number says nothing."""
    text = [] if lines and lines[0].startswith("Alias for field number") else as_rst(lines)
    # napoleon takes what stands before a colon in an attribute's first line for its type
    lines[:] = ["..", "", *text] if what in ("attribute", "data", "property") else text


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, arguments: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """`Key` by its name: it stands for a union of three types."""
    union = stringify_annotation(Key, "smart")
    arguments, returns = (part and part.replace(union, "Key") for part in (arguments, returns))
    return arguments, returns


def home(target: str, module: str = "recurrent") -> str | None:
    """Where a name is documented that a module, its packages or users know, with or without `rec.` in front.

    >>> home("rec.LSTM"), home("Dense.apply", "recurrent.forms.delta"), home("numpy.dot")
    ('recurrent.cells.lstm.LSTM', 'recurrent.forms.dense.Dense.apply', None)
    """
    name = re.sub(r"^(rec|recurrent)\.", "", target)
    while module:
        try:
            found = operator.attrgetter(name)(sys.modules[module])
            return f"{found.__module__}.{found.__qualname__}"
        except (AttributeError, KeyError):
            module = module.rpartition(".")[0]
    return None


def resolve_public(app: Sphinx, env: Any, node: Any, contnode: nodes.Node) -> nodes.Node | None:
    """A link to `home`, where Sphinx finds nothing under the name itself."""
    if node.get("refdomain") != "py":
        return None
    target = home(node["reftarget"], node.get("py:module") or "recurrent")
    domain = env.domains["py"]
    return target and domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)


class Modules(SphinxDirective):
    """``.. modules:: name ...``: a section for each module; a package brings its own, so a new one needs no line."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """One automodule each, under its dotted name."""
        return [self.section(name) for name in self.arguments[0].split()]

    def section(self, name: str) -> nodes.section:
        """What a module says, then its modules in the order of the alphabet."""
        try:
            path = getattr(importlib.import_module(name), "__path__", ())
        except ImportError as error:
            raise self.error(f"modules: {error}") from error
        inner = [child.name for child in pkgutil.iter_modules(path) if not child.name.startswith("_")]
        parts = [nodes.title(name, name), *self.parse_text_to_nodes(f".. automodule:: {name}\n")]
        parts += [self.section(f"{name}.{child}") for child in inner]
        return nodes.section("", *parts, ids=[nodes.make_id(name)], names=[name])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what this file defines."""
    app.add_directive("modules", Modules)
    app.connect("autodoc-process-docstring", rewrite_docstring, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("missing-reference", resolve_public)
    return {"parallel_read_safe": True}
