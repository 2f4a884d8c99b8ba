"""URLs of databases in files."""

from dataclasses import fields

import pytest

from app.config import SECRETS, Settings, unknown_variables

URL = "postgresql://ann:hush%20@db.example/truthline"
NAMES = [f"TRUTHLINE_{name.upper()}" for name in SECRETS]


def test_every_url_of_a_database_can_be_in_a_file(tmp_path):
    assert set(SECRETS) == {f.name for f in fields(Settings) if f.name.endswith("database_url")}
    files = {}
    for name in NAMES:
        files[f"{name}_FILE"] = str(tmp_path / name)
        (tmp_path / name).write_text(f"{URL}-{name}\n", encoding="utf-8")
    settings = Settings.from_environment(files)
    assert [getattr(settings, name) for name in SECRETS] == [f"{URL}-{name}" for name in NAMES]
    assert unknown_variables(files) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_and_its_file_are_too_many(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} and {name}_FILE are both set"):
        Settings.from_environment({name: URL, f"{name}_FILE": str(tmp_path / "absent")})


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"\xff\xfehush", b"hush\0", b"hush" * 20_000], ids=lambda c: str(c[:9])
)
def test_what_is_no_secret_is_an_error_that_does_not_quote_it(tmp_path, content):
    path = tmp_path / "url"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="TRUTHLINE_DATABASE_URL_FILE: ") as raised:
        Settings.from_environment({"TRUTHLINE_DATABASE_URL_FILE": str(path)})
    assert "hush" not in str(raised.value)


def test_an_unreadable_file_is_an_error_and_an_empty_variable_none(tmp_path):
    absent = {"TRUTHLINE_DATABASE_URL_FILE": str(tmp_path / "absent")}
    with pytest.raises(ValueError, match="absent can't be read: No such file"):
        Settings.from_environment(absent)
    assert Settings.from_environment({"TRUTHLINE_DATABASE_URL_FILE": ""}) == Settings()


def test_other_settings_have_no_file():
    said = unknown_variables({"TRUTHLINE_PUBLIC_URL_FILE": "x"})
    assert said
    assert "is not a setting" in said[0]
