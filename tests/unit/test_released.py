"""Migrations are append-only: what a release has shipped never changes again."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = "migrations/RELEASED"


def listing(root):
    """Digests of the released files by their paths, as `sha256sum` writes them."""
    lines = (root / LIST).read_text().splitlines()
    return {path: digest for digest, path in (line.split() for line in lines)}


def changed(root):
    """Released files that are not, or no longer, what was released."""
    return [
        path
        for path, digest in listing(root).items()
        if not (root / path).exists()
        or hashlib.sha256((root / path).read_bytes()).hexdigest() != digest
    ]


def test_what_was_released_never_changes():
    assert changed(ROOT) == [], "a released migration has changed: write a new one instead"


def test_the_baseline_is_released_whole():
    names = [*ROOT.glob("sql/versions/0001_*"), *ROOT.glob("migrations/versions/0001_*")]

    assert {str(path.relative_to(ROOT)) for path in names} <= set(listing(ROOT))


def test_a_change_is_noticed_and_a_new_file_is_not_one(tmp_path):
    (tmp_path / "migrations").mkdir()
    kept, edited, gone, new = (tmp_path / name for name in ("kept", "edited", "gone", "new"))
    for path in (kept, edited, gone):
        path.write_text(f"-- {path.name}")
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (kept, edited, gone)}
    lines = [f"{digest}  {path.name}\n" for path, digest in digests.items()]
    (tmp_path / LIST).write_text("".join(lines))
    assert changed(tmp_path) == []

    edited.write_text("-- edited, with another comment")
    gone.unlink()
    new.write_text("-- a new migration")

    assert changed(tmp_path) == ["edited", "gone"]
