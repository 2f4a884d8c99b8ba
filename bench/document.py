"""docs/benchmarks.md and its plots, from the files in bench/results: `python -m bench.document`."""

import json
import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from bench.report import readable
from bench.suite import CASES, RESULTS

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PLOTS = DOCS / "benchmarks.md", DOCS / "images" / "benchmarks"
Result = dict[str, Any]
INTRODUCTION = Path(__file__).with_name("introduction.md")


def write() -> None:
    """Write the page and the plots of all results."""
    results = read()
    PAGE.write_text(page(results))
    PLOTS.mkdir(parents=True, exist_ok=True)
    for result in results:
        if drawn := plot(result):
            (PLOTS / f"{_key(result)}.svg").write_text(drawn)


def read(folder: Path = RESULTS) -> list[Result]:
    """All results, in the order of the cases."""
    order = [case.name for case in CASES]
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda result: (order.index(result["case"]), result["edition"]))


def page(results: Sequence[Result]) -> str:
    """The document."""
    return "\n".join(
        [INTRODUCTION.read_text(), *(line for result in results for line in section(result))]
    )


def section(result: Result) -> Iterator[str]:
    """A case on an edition: its facts, its plot and its table."""
    yield f"## {result['title']}: {result['edition']}\n"
    yield f"{_facts(result)}\n"
    if plot(result):
        alt = f"Ratios of {result['case']} on {result['edition']}"
        yield f"![{alt}](images/benchmarks/{_key(result)}.svg)\n"
    yield "| question | who | min | median | max | ratio |"
    yield "|---|---|--:|--:|--:|--:|"
    for comparison in result["comparisons"]:
        yield row(comparison["question"], comparison["ours"])
        yield from (row("", peer) for peer in comparison["peers"])
    yield ""


def row(question: str, sample: dict[str, Any]) -> str:
    """A line of a table."""
    numbers = (readable(sample[name]) for name in ("min", "median", "max"))
    ratio = readable(sample["ratio"], 3) if "ratio" in sample else ""
    return f"| {question} | {sample['name']} | {' | '.join(numbers)} | {ratio} |"


def _facts(result: Result) -> str:
    size = (f"{number:,} {name}" for name, number in result["size"].items())
    versions = (f"{name} {text}" for name, text in result["versions"].items())
    facts = (f"{name.replace('_', ' ')} {text}" for name, text in result["facts"].items())
    return "; ".join(
        [f"`bench/{result['case']}.py`", *size, f"{result['cores']} cores", *facts, *versions]
    )


def _key(result: Result) -> str:
    return f"{result['case']}-{result['edition']}"


# --- plots ----------------------------------------------------------------------------------

WIDTH, LINE, LEFT, RIGHT, TOP = 760, 20, 330, 60, 26
BLUE, VERMILION = "#0072B2", "#D55E00"
STYLE = "font:12px system-ui,sans-serif;fill:#868e96"


def plot(result: Result) -> str:
    """Ratios as bars on a logarithmic axis around 1; empty without peers."""
    bars = [
        (f"{comparison['question']}: {peer['name']}", peer["ratio"])
        for comparison in result["comparisons"]
        for peer in comparison["peers"]
    ]
    if not bars:
        return ""
    exponents = [math.log10(ratio) for _, ratio in bars]
    low, high = math.floor(min(0.0, *exponents)), math.ceil(max(0.0, *exponents)) or 1
    height = TOP + LINE * len(bars) + 8
    lines = [*_axis(low, high, height), *_bars(bars, low, high)]
    title = escape(
        f"{result['title']}: how many times as long as Truthline, on {result['edition']}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' style="{STYLE}"><title>{title}</title>\n' + "\n".join(lines) + "\n</svg>\n"
    )


def _at(exponent: float, low: int, high: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (exponent - low) / (high - low), 1)


def _axis(low: int, high: int, height: int) -> Iterator[str]:
    for exponent in range(low, high + 1):
        x, words = _at(exponent, low, high), f"{10.0**exponent:g}"
        ends = f'x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{height}"'
        yield f'<line {ends} stroke="#868e96" opacity=".3"/>'
        yield f'<text x="{x}" y="12" text-anchor="middle">{words}</text>'


def _bars(bars: Sequence[tuple[str, float]], low: int, high: int) -> Iterator[str]:
    for place, (words, ratio) in enumerate(bars):
        y, one, end = TOP + LINE * place, _at(0, low, high), _at(math.log10(ratio), low, high)
        colour = BLUE if ratio >= 1 else VERMILION
        left, width = min(one, end), max(round(abs(end - one), 1), 1)
        yield f'<rect x="{left}" y="{y}" width="{width}" height="14" fill="{colour}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(words[:52])}</text>'
        yield f'<text x="{left + width + 4}" y="{y + 11}">{readable(ratio, 3)}</text>'


if __name__ == "__main__":
    write()
