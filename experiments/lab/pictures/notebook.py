"""A run as a notebook shows it: what was asked, what came out, the curves; HTML that needs no other file."""

import base64
import html
from typing import Any

from experiments.lab.pictures import curves
from experiments.lab.pictures.base import Drawn, png
from experiments.lab.plan import configs
from experiments.lab.storage import summaries

DPI = 70  # of the picture inside: legible in a notebook, and a few ten thousand characters


def page(run: Drawn) -> str:
    """The label, the flags that differ from the default preset, the table, and the curves as a picture inside."""
    changed = configs.flags(run.config, run.experiment.presets["default"])
    asked = f"{run.experiment.command} --cell {run.label}"
    parts = [
        f"<h4>{_safe(run.experiment.name)}: {_safe(run.label)}</h4>",
        f"<p><code>{_safe(' '.join([asked, *changed]))}</code></p>",
        _table(summaries.table([run.summary])[0]) if run.summary else f"<p>{_safe(_so_far(run))}</p>",
    ]
    if run.metrics:
        picture = base64.b64encode(png(curves.figure_of([run]), DPI)).decode()
        parts.append(f'<img alt="learning curves" src="data:image/png;base64,{picture}">')
    return f"<div>{''.join(parts)}<p><small>{_safe(str(run.folder))}</small></p></div>"


def _table(row: dict[str, Any]) -> str:
    shown = summaries.entries(row)
    head = "".join(f"<th>{_safe(name)}</th>" for name in shown)
    body = "".join(f"<td>{_safe(value)}</td>" for value in shown.values())
    return f"<table><thead><tr>{head}</tr></thead><tbody><tr>{body}</tr></tbody></table>"


def _so_far(run: Drawn) -> str:
    update = max((row["update"] for row in run.metrics), default=0)
    return f"has not ended: update {update} of {run.config.num_updates}"


def _safe(text: str) -> str:
    return html.escape(text)
