"""Prose that a native reader does not stumble over: phrases to avoid, and what to write instead.

Documents, SQL comments, and comments, docstrings and texts of Python are searched. Code in
documents is not prose. A line that has to quote a phrase ends in `# quoted`.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What to avoid, as a regular expression without regard to case: what to write instead.
INSTEAD = {
    # HTTP
    r"\b(?:is|are|be) answered (?:by )?(?:[1-5]\d\d|so)\b": "returns 422",
    r"\bthe answer is [1-5]\d\d\b": "returns 422",
    r"\bhalf[- ]sent\b": "incomplete",
    r"\bpacked (?:by|with) gzip": "compressed with gzip",
    r"\bbody cut short\b": "truncated body",
    r"\banswers? in pages\b": "is paginated",
    # time
    r"\bfor good\b": "permanently; until deleted",
    r"\bfor ever\b": "permanently; forever",
    r"\bat first sight\b": "on first use; initially",
    r"\banew\b": "again; recreate",
    r"\b(hour|day|bucket|class|level|execution) by \1\b": "per hour; per bucket",
    r"\bevery so (?:many|manieth)\b": "every n; every nth",
    r"\bso ?manieth\b": "nth",
    r"\bin the meanwhile\b|\bmeanwhile\b": "until then; concurrently",
    r"\bas ever\b": "as always, or leave it out",
    # access
    r"\bopens? (?:nothing|something|what|to)\b": "grants access to; is valid for; is rejected",
    r"\b(?:key|token|session)s? ends?\b": "expires; is revoked",
    r"\bmade to end\b": "revoked",
    r"\blets? (?:people|somebody|nobody|whoever) in\b": "accepts; grants access to",
    r"\bwho may what\b": "privileges",
    r"\bwhoever\b": "a caller that; it; anyone who",
    r"\bkeeps? nobody (?:in|out)\b": "is no protection",
    r"\basks? for no key\b": "requires no key",
    # ignoring and refusing
    r"\b(?:is|are|was|were) (?:not|never) looked at\b": "is ignored",
    r"\blooked at\b": "read; checked; inspected",
    r"\bleft away\b": "omitted",
    r"\b(?:is|are) left out\b": "is excluded; is omitted; is skipped",
    r"\bwaits? out\b|\bwaited out\b|\bdied of\b": "survives: logs and retries",
    r"\bkeeps? house\b": "does the housekeeping; holds the lock",
    r"\bcosts? no other\b": "does not affect the others",
    r"\bis nobody else's\b": "does not affect others",
    # existence
    r"\bthere also where\b|\balso where nothing\b": "empty buckets are included",
    r"\bwhere there (?:is|are) (?:one|none|any)\b": "if present; if any",
    r"\b(?:is|are) to be had\b|\bcan be had\b|\bis had (?:by|from)\b": "is available; is computed",
    r"\bknows? nothing\b": "has no estimate of; does not know",
    r"\bof which [\w ]+ knows nothing\b": "that has no estimate",
    r"\bthat there is\.": "that exists",
    r"\bthan nothing at all\b": "than none",
    # comparing
    r"\bbeside\b(?! each other\b)": "next to; compared with; in addition to",
    r"\beach another\b": "a different one for each",
    r"\banother one\b": "a different one; a second one",
    r"\bin place of\b": "instead of; replaces",
    r"\bthe same of\b": "the same for",
    r"\b(?:its|their) like\b": "and others; related settings",
    r"\bas of keys\b": "like keys",
    r"\bone after the other\b": "one at a time",
    # speaking: programs report, state, return, log
    r"\b(?:is|are|was|were|been|it is) told\b": "is reported; is configured; is passed",
    r"\btold (?:apart|of)\b": "distinguished; reported",
    r"\btells? (?:of|apart)\b": "describes; distinguishes",
    r"\b(?:the log|answer|server|header|page|error|body) tells?\b": "reports; states",
    r"\bsays? so\b": "reports this",
    r"\b(?:is|was|are|were) said\b": "is stated; is reported",
    r"\bhas (?:nothing|something) to say\b": "has no data",
    # making
    r"\b(?:un)?heal(?:s|ed|ing)?\b": "repairs",
    r"\bsomebody\b": "a user; another process",
    r"\b(?:is|are) made of\b": "consists of; is computed from",
    r"\b(?:is|are) made up of\b": "consists of",
    r"\brests? on\b": "is based on",
    r"\bfall due\b": "expire; are due",
    r"\bgiven up\b": "abandoned; times out",
    r"\bholds? back\b|\bheld back\b": "delays",
    r"\bunder way\b": "running; in progress",
    r"\bhand(?:s|ed)? (?:it|them) on\b": "forwards; passes",
    r"\bmend(?:s|ed)?\b": "fixes; corrects",
    r"\bbring(?:s)? to an end\b": "ends; revokes",
    r"\bstands? (?:beside|still)\b": "is next to; is unchanged",
    r"\bmade known\b": "published; registered",
    r"\bto (?:its|their) end\b": "until it finishes",
    # word order and articles
    r"\bhowever many there are\b": "regardless of their number",
    r"\bby what they say\b": "by content",
    r"\bwhat (?:is|was) asked for\b": "the requested resource; the query",
    r"\bthan asked\b": "than requested",
    r"\bas (?:it was )?known to (?:it|them)\b": "as it knew",
    r"\bof whose\b": "whose",
    r"\bso long as\b": "as long as",
    r"\bperhaps with\b": "optionally with",
    r"\bhence\b": "so; therefore",
}
BANNED = {re.compile(phrase, re.IGNORECASE): better for phrase, better in INSTEAD.items()}

DOCUMENTS = ("*.md", "docs/**/*.md", "sql/*.md", "client/*.md")
COMMENTED = ("deploy/**/*.yaml", "deploy/**/*.conf", "docker-compose.yml", "Makefile", "Dockerfile")
SQL = ("sql/**/*.sql", "deploy/**/*.sql")
PYTHON = ("app", "bench", "client/truthline", "grafana", "migrations", "tests")


def of_document(text: str) -> Iterator[tuple[int, str]]:
    """Lines outside of code blocks, without code between backticks."""
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, re.sub(r"`[^`]*`", "``", line)


def of_comments(text: str, mark: str) -> Iterator[tuple[int, str]]:
    """Comments, and for SQL texts too."""
    for number, line in enumerate(text.splitlines(), 1):
        prose = line.partition(mark)[2] if mark in line else ""
        literals = re.findall(r"'([^']*)'", line) if mark == "--" else []
        yield number, " ".join([prose, *literals])


def of_python(text: str) -> Iterator[tuple[int, str]]:
    """Comments, docstrings and other strings that are sentences."""
    strings = {"STRING", "FSTRING_MIDDLE"}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT" or (kind in strings and " " in token.string):
            lines = token.string.splitlines()
            yield from ((token.start[0] + offset, line) for offset, line in enumerate(lines))


def offences(path: Path, root: Path = ROOT) -> list[str]:
    """Phrases to avoid in a file, each with its line and what to write instead."""
    text = path.read_text()
    if path.suffix == ".md":
        lines = of_document(text)
    elif path.suffix == ".py":
        lines = of_python(text)
    else:
        lines = of_comments(text, "--" if path.suffix == ".sql" else "#")
    return [
        f"{path.relative_to(root)}:{number}: “{match[0]}”: write “{better}”"
        for number, line in lines
        if not line.endswith("# quoted")
        for phrase, better in BANNED.items()
        for match in phrase.finditer(line)
    ]


def files() -> list[Path]:
    patterns = (*DOCUMENTS, *COMMENTED, *SQL, *(f"{folder}/**/*.py" for folder in PYTHON))
    paths = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(paths - {Path(__file__)})


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_avoids_these_phrases(path):
    assert offences(path) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "An invalid row is answered 422.\n"),
        ("page.md", "```sh\nfor good\n```\nKept for good.\n"),
        ("code.py", '"""Rows stay for good."""\n'),
        ("code.py", "x = 1  # kept for good\n"),
        ("code.py", 'raise ValueError(f"{x} is looked at")\n'),
        ("query.sql", "SELECT 1; -- whoever asks\n"),
        ("query.sql", "COMMENT ON TABLE t IS 'Kept for good.';\n"),
        ("a.yaml", "a: 1  # made anew\n"),
    ],
)
def test_each_kind_of_file_is_read(name, text, tmp_path):
    (tmp_path / name).write_text(text)

    (offence,) = offences(tmp_path / name, tmp_path)
    line = len(text.splitlines())
    assert offence.startswith(f"{name}:{line}: ")
    assert "write" in offence
