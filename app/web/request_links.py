"""Links to the requests behind a number, and the search for one by its id."""

from collections.abc import Callable, Mapping
from datetime import datetime

from markupsafe import Markup

from app.query.window import Window
from app.store.registry import ModelName
from app.web import markup as html
from app.web.question import TAGS, Question, common, iso_utc, query_string
from app.web.tables import labelled

# Members of a link; None removes one.
Members = Mapping[str, str | None]
Link = Callable[[Members], str]
# The names of a model and of a part of it.
SCOPE = ("namespace", "pipeline", "model", "version", "deployment", "tag")


def requests_link(
    question: Question, window: Window, members: Members, version: str | None = None
) -> str:
    """The URL of a model's requests in a window; of another version if one is named.

    The page's own window stays as the URL has it, so that a range up to now goes on moving.
    """
    kept: dict[str, str | None] = {**common(question.members)}
    kept |= {name: question.members.get(name) for name in SCOPE}
    if window != question.window:
        edges = {"startTime": iso_utc(window.start), "endTime": iso_utc(window.end)}
        kept |= {"range": None, **edges}
    if version is not None:
        kept["version"] = version
    return "/requests" + query_string({**kept, **members})


def linking(question: Question, window: Window, version: str | None = None) -> Link:
    """Links to the requests of a window, by what is asked of them."""
    return lambda members: requests_link(question, window, members, version)


def with_tag(question: Question, key: str, value: str) -> dict[str, str]:
    """The tags of the question and this one, which replaces another of its key."""
    others = [text for text in question.scope.tags.texts if not text.startswith(f"{key}:")]
    return {"tag": TAGS.join([*others, f"{key}:{value}"])}


def names_of(name: ModelName) -> dict[str, str]:
    """The names of a model as members of a URL."""
    return {"namespace": name.namespace, "pipeline": name.pipeline, "model": name.name}


def request_link(question: Question, id_: str, name: ModelName, time: datetime | None) -> str:
    """The URL of the history of a request of a model."""
    return "/request" + query_string(
        {
            **common(question.members),
            **names_of(name),
            "request": id_,
            "time": None if time is None else iso_utc(time),
        }
    )


def finder(question: Question) -> Markup:
    """A field for the id of a request, which leads to its history."""
    kept = common(question.members)
    hidden = [html.Input(type="hidden", name=name, value=value) for name, value in kept.items()]
    field = html.Input(
        type="search",
        name="request",
        value=question.members.get("request"),
        placeholder="Find a request by its id",
        required="required",
        maxlength="200",
        **labelled("Find a request by its id"),
    )
    button = html.Button("Find", type="submit", className="quiet-button")
    return html.Form(
        [*hidden, field, button], action="/request", method="get", className="find-request"
    )
