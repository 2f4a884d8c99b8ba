"""The worked example of docs/api.md, run against the service."""

import json
import re
from pathlib import Path

from app.api.http.positions import PARAMETERS

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
SECTION = next(part for part in PAGE.split("\n## ") if part.startswith("Metrics\n"))
REQUESTS = re.findall(r"```http\n(\w+) (\S+)\n(.*?)```", SECTION, re.DOTALL)
[ANSWER] = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)


def test_the_worked_example_gives_its_stated_results(client):
    *told, (method, url, _) = REQUESTS
    for post, path, body in told:
        answer = client.open(path, method=post, json=json.loads(body))
        assert answer.status_code == 200, answer.text

    answer = client.open(url, method=method)
    assert answer.status_code == 200, answer.text
    expected = json.loads(ANSWER)
    fresh = answer.json["freshness"]
    assert fresh.keys() == expected["freshness"].keys()
    assert answer.json == expected | {"freshness": fresh}  # of today, not of the page's day


def test_the_page_names_every_parameter(app):
    document = app.test_client().get("/openapi.json").json
    operation = document["paths"]["/api/v1/metrics/classification"]["get"]
    cells = [line.split("|")[1] for line in SECTION.splitlines() if line.startswith("| `")]

    named = set(re.findall(r"`(\w+)`", " ".join(cells)))
    of_every_question = {parameter["name"] for parameter in PARAMETERS}
    assert named == {parameter["name"] for parameter in operation["parameters"]} - of_every_question
