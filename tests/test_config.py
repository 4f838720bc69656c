"""Settings: which one wins, and what is said of one that cannot be used."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.config import (
    Settings,
    describe,
    load,
    template,
    trust_in_file,
    without_login,
)
from curate.errors import ConfigError, UsageError

EVERY = [
    (section.name, each.name)
    for section in dataclasses.fields(Settings)
    for each in dataclasses.fields(getattr(Settings(), section.name))
]


def write(folder: Path, text: str) -> Path:
    (folder / "curate.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path, {}, {}) == Settings()


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    tmp_path: Path,
) -> None:
    assert load(tmp_path, {}, {}).fetch.tries == 5
    write(tmp_path, "[fetch]\ntries = 2\nconnections = 3\n")
    assert load(tmp_path, {}, {}).fetch.tries == 2
    environ = {"CURATE_FETCH_TRIES": "7"}
    assert load(tmp_path, environ, {}).fetch.tries == 7
    settings = load(tmp_path, environ, {"fetch.tries": 9, "fetch.per_host": None})
    assert (settings.fetch.tries, settings.fetch.connections, settings.fetch.per_host) == (9, 3, 16)


def test_an_empty_variable_counts_as_not_given(tmp_path: Path) -> None:
    assert load(tmp_path, {"CURATE_FETCH_TRIES": ""}, {}).fetch.tries == 5


def test_lists_and_numbers_are_read_from_every_place(tmp_path: Path) -> None:
    write(tmp_path, '[fetch]\nallow_hosts = ["a", "10.0.0.0/8"]\ndeadline_s = 5\n')
    settings = load(
        tmp_path,
        {"CURATE_BALANCE_SPLITS": "0.7, 0.2,0.1", "CURATE_GBIF_URL": "http://127.0.0.1:1"},
        {"balance.licenses": "cc0, cc-by,"},
    )
    assert settings.fetch.allow_hosts == ("a", "10.0.0.0/8")
    assert settings.fetch.deadline_s == 5.0
    assert isinstance(settings.fetch.deadline_s, float)
    assert settings.balance.splits == (0.7, 0.2, 0.1)
    assert settings.balance.licenses == ("cc0", "cc-by")
    assert settings.gbif.url == "http://127.0.0.1:1"
    assert load(tmp_path, {}, {"fetch.allow_hosts": ["b"]}).fetch.allow_hosts == ("b",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[fetch\n", ("not valid TOML",)),
        ("[fetcher]\ntries = 1\n", ("[fetcher]", "unknown section")),
        ("fetch = 3\n", ("[fetch]", "not a table")),
        ("[fetch]\ntrys = 1\n", ("'trys'", "[fetch]", "unknown setting")),
        ('[fetch]\ntries = "3"\n', ("[fetch] tries", "'3'", "a whole number")),
        ("[fetch]\ntries = 2.5\n", ("[fetch] tries", "2.5", "a whole number")),
        ("[fetch]\ntries = true\n", ("[fetch] tries", "True")),
        ("[fetch]\ntries = [3]\n", ("[fetch] tries", "a list")),
        ("[fetch]\ntries = 0\n", ("[fetch] tries", "out of range", "at least 1")),
        ("[fetch]\nconnections = -1\n", ("[fetch] connections", "out of range")),
        ("[fetch]\ndeadline_s = nan\n", ("[fetch] deadline_s", "out of range")),
        ("[fetch]\ndeadline_s = inf\n", ("[fetch] deadline_s", "out of range")),
        ('[fetch]\ndeadline_s = "5"\n', ("[fetch] deadline_s", "a number")),
        ("[fetch]\ncontact = 5\n", ("[fetch] contact", "a text")),
        ("[fetch]\nallow_hosts = [1]\n", ("[fetch] allow_hosts", "a list")),
        ("[fetch]\nallow_hosts = 1979-05-27\n", ("[fetch] allow_hosts",)),
        ("[balance]\nsplits = [0.8, 0.2]\n", ("[balance] splits", "2 values", "3")),
        ("[balance]\nsplits = [0.8, 0.1, true]\n", ("[balance] splits", "True")),
        ("[balance]\nsplits = [0.8, 0.3, -0.1]\n", ("[balance] splits", "out of range")),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_key(
    tmp_path: Path, text: str, names: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, text), {}, {})
    for name in (str(tmp_path / "curate.toml"), *names):
        assert name in error.value.message


def test_an_unknown_name_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, "[balance]\nmin = 1\n"), {}, {})
    assert "min_per_class" in error.value.hint


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"[fetch]\ntries = '\xe9'\n"])
def test_a_file_that_is_not_text_is_one_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "curate.toml").write_bytes(data)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(tmp_path, {}, {})


def test_a_folder_in_the_place_of_the_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path, {}, {})


@pytest.mark.parametrize("value", ["many", "2.5", "0", "-3", "1e3", "nan"])
def test_a_variable_that_cannot_be_used_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="environment variable CURATE_FETCH_TRIES"):
        load(tmp_path, {"CURATE_FETCH_TRIES": value}, {})


@pytest.mark.parametrize(
    ("key", "value", "flag"),
    [
        ("fetch.connections", 0, "--connections"),
        ("fetch.max_wait_s", -1.0, "--max-wait"),
        ("balance.splits", "0.8,0.2", "--splits"),
        ("balance.splits", "a,b,c", "--splits"),
        ("balance.min_per_class", -1, "--min-per-class"),
    ],
)
def test_a_flag_that_cannot_be_used_is_wrong_usage(
    tmp_path: Path, key: str, value: Any, flag: str
) -> None:
    with pytest.raises(UsageError, match=f"^{flag}: "):
        load(tmp_path, {}, {key: value})


def test_the_template_says_everything_and_changes_nothing(tmp_path: Path) -> None:
    text = template()
    assert load(write(tmp_path, text), {}, {}) == Settings()
    plain = "\n".join(
        line.removeprefix("# ") if " = " in line else line for line in text.split("\n")
    )
    table = tomllib.loads(plain)
    assert {(section, key) for section, values in table.items() for key in values} == {
        each for each in EVERY if each not in (("unsplash", "url"), ("gbif", "url"))
    }
    assert "CURATE_UNSPLASH_URL" in text
    assert "CURATE_GBIF_URL" in text
    assert load(write(tmp_path, plain), {}, {}) == Settings()


@pytest.mark.parametrize(("section", "key"), EVERY)
def test_every_setting_is_explained_and_can_be_set_by_a_variable(
    tmp_path: Path, section: str, key: str
) -> None:
    default = getattr(getattr(Settings(), section), key)
    assert describe(section, key)[0].isupper()
    most = next(
        each.metadata["range"][1]
        for each in dataclasses.fields(getattr(Settings(), section))
        if each.name == key
    )
    samples = {int: 7, float: min(7.5, most), str: "http://x", bool: True}
    other = samples.get(type(default), default)
    shown = ",".join(map(str, other)) if isinstance(other, tuple) else str(other)
    settings = load(tmp_path, {f"CURATE_{section}_{key}".upper(): shown}, {})
    assert getattr(getattr(settings, section), key) == other


def test_help_shows_the_default_in_the_words_of_the_command_line() -> None:
    assert describe("fetch", "side_px").endswith("[default: 1024]")
    assert describe("fetch", "max_wait_s").endswith("[default: 120]")
    assert describe("balance", "splits").endswith("[default: 0.8,0.1,0.1]")
    assert "default" not in describe("balance", "licenses")


VALUES = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(), st.lists(st.integers() | st.text())
)


@given(place=st.sampled_from(EVERY), value=VALUES)
def test_any_value_of_a_flag_is_taken_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, str], value: Any
) -> None:
    section, key = place
    default = getattr(getattr(Settings(), section), key)
    words = ""
    try:
        settings = load(tmp_path_factory.getbasetemp(), {}, {f"{section}.{key}": value})
    except UsageError as error:
        settings, words = Settings(), error.message
    assert type(getattr(getattr(settings, section), key)) is type(default)
    assert words.startswith("--" if words else "")


@pytest.mark.parametrize("section", ["unsplash", "gbif"])
def test_the_url_that_receives_a_secret_is_not_taken_from_a_project(
    tmp_path: Path, section: str
) -> None:
    variable = f"CURATE_{section.upper()}_URL"
    write(tmp_path, f'[{section}]\nurl = "https://evil.example"\n')
    with pytest.raises(ConfigError, match=variable):
        load(tmp_path, {}, {})
    (tmp_path / "curate.toml").unlink()
    settings = load(tmp_path, {variable: "https://proxy.example"}, {})
    assert getattr(settings, section).url == "https://proxy.example"


def test_what_a_project_lets_through_is_known_unless_something_else_decides(tmp_path: Path) -> None:
    write(tmp_path, '[fetch]\nallow_hosts = ["10.0.0.0/8"]\nca_file = "ca.pem"\n')
    told = ['allow_hosts = ["10.0.0.0/8"]', 'ca_file = "ca.pem"']
    assert trust_in_file(tmp_path, load(tmp_path, {}, {})) == told
    settings = load(tmp_path, {"CURATE_FETCH_CA_FILE": "b"}, {"fetch.allow_hosts": ["a"]})
    assert trust_in_file(tmp_path, settings) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@api.example/v1", "https://api.example/v1"),
        ("https://api.example/a@b", "https://api.example/a@b"),
        ("https://api.example", "https://api.example"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert without_login(url) == shown


@pytest.mark.parametrize("value", ["1000000000000", "9" * 400, "9" * 5000])
@pytest.mark.parametrize("name", ["FETCH_CONNECTIONS", "FETCH_MAX_BYTES", "FETCH_DEADLINE_S"])
def test_a_huge_number_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"CURATE_{name}"):
        load(tmp_path, {f"CURATE_{name}": value}, {})


@pytest.mark.parametrize("text", ["1", '"yes"', "[true]"])
def test_what_is_true_or_false_takes_nothing_else(tmp_path: Path, text: str) -> None:
    assert load(write(tmp_path, "[classes]\nexclusive = true\n"), {}, {}).classes.exclusive
    assert not load(tmp_path, {"CURATE_CLASSES_EXCLUSIVE": "False"}, {}).classes.exclusive
    write(tmp_path, f"[classes]\nexclusive = {text}\n")
    with pytest.raises(ConfigError, match="exclusive"):
        load(tmp_path, {}, {})
