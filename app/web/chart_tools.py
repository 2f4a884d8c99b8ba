"""What is above a chart: its legend, and what a reader can do with it."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from app.web import markup
from app.web.markup import Tag
from app.web.tables import UNHEARD, labelled

# Lengths of a dash and its gap in a legend.
SAMPLES = {"dash": "7 3", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4"}
# Characters that plotly interprets as tags, entities and TeX.
_AS_IT_IS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})
Button = Tag("button")
MODES = (
    ("zoom", "Zoom", "Drag over the chart to set the time range of the page"),
    ("before", "Select before", "Drag over the chart to select what is compared with"),
    ("after", "Select after", "Drag over the chart to select what is shown and compared"),
)


def plain(text: str) -> str:
    """A name escaped for plotly: names are chosen by users and shown to other users."""
    return text.translate(_AS_IT_IS)


def tools(figure: go.Figure, names: Sequence[str], *, watch: str, picks: bool) -> Markup:
    """The legend, above the chart, where it can wrap on a narrow screen; and buttons."""
    legend = [_entry(figure, name) for name in names] if len(names) > 1 else []
    modes = [_mode(*mode) for mode in MODES] if picks else []
    image = Button("PNG", type="button", className="png", title="Save the chart as an image")
    return Markup("").join(
        (
            markup.Span(legend, className="legend"),
            markup.Span(modes, className="modes", role="group", **labelled("What dragging does"))
            if modes
            else "",
            markup.A("Make a monitor", href=watch, className="watch") if watch else "",
            image,
        )
    )


def _entry(figure: go.Figure, name: str) -> Markup:
    """A line's style and name; a click hides and shows the line."""
    indices = [str(i) for i, line in enumerate(figure.data) if line.name == plain(name)]
    data = {"data-lines": ",".join(indices), "aria-pressed": "true"}
    sample = _sample(figure.data[int(indices[0])])
    return Button(
        [sample, name], type="button", className="key", title="Hide or show this line", **data
    )


def _sample(line: Any) -> Markup:
    if line.type == "bar":
        return markup.Span(className="dot", style={"--colour": line.marker.color}, **UNHEARD)
    path = markup.Path(
        d="M1 6H25", stroke=line.line.color, **{"stroke-dasharray": SAMPLES.get(line.line.dash, "")}
    )
    return markup.Svg(path, className="sample", viewBox="0 0 26 12", **UNHEARD)


def _mode(name: str, label: str, hint: str) -> Markup:
    pressed = {"data-mode": name, "aria-pressed": str(name == "zoom").lower()}
    return Button(label, type="button", className="mode", title=hint, **pressed)
