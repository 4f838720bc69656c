from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import UsageError
from curate.licenses import FAMILIES, cc_url, check_wanted, family, matches, normalise

SPELLINGS = [
    ("http://creativecommons.org/licenses/by/4.0/legalcode", "CC-BY-4.0"),
    ("https://creativecommons.org/licenses/by/4.0", "CC-BY-4.0"),
    ("HTTP://CREATIVECOMMONS.ORG/LICENSES/BY-NC/4.0/", "CC-BY-NC-4.0"),
    ("https://creativecommons.org/licenses/by-nc-nd/3.0/deed.de", "CC-BY-NC-ND-3.0"),
    ("http://creativecommons.org/licenses/by/3.0/de/", "CC-BY-3.0-DE"),
    ("https://creativecommons.org/licenses/by/2.0/fr/", "CC-BY-2.0"),
    ("https://creativecommons.org/licenses/by-sa/2.1/jp/deed.en", "CC-BY-SA-2.1-JP"),
    ("https://creativecommons.org/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND-1.0"),
    ("http://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0-1.0"),
    ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0"),
    ("CC_BY_4_0", "CC-BY-4.0"),
    ("CC_BY_NC_4_0", "CC-BY-NC-4.0"),
    ("CC0_1_0", "CC0-1.0"),
    ("cc0", "CC0-1.0"),
    ("CC BY-NC", "CC-BY-NC"),
    ("by-nc", "CC-BY-NC"),
    ("CC BY-SA 3.0", "CC-BY-SA-3.0"),
    ("CC BY 4.0 International", "CC-BY-4.0"),
    ("Creative Commons Attribution Non Commercial (CC-BY-NC) 4.0 License", "CC-BY-NC-4.0"),
    ("© somebody, some rights reserved (CC BY-NC-SA)", "CC-BY-NC-SA"),
    ("Attribution-ShareAlike License", "CC-BY-SA"),
    ("Public Domain (CC0)", "CC0-1.0"),
    ("https://unsplash.com/license", "Unsplash"),
    ("MIT", "MIT"),
    ("All rights reserved", "All rights reserved"),
    ("© all rights reserved, not CC BY", "© all rights reserved, not CC BY"),
    ("CC BY or CC BY-NC", "CC BY or CC BY-NC"),
    ("UNSUPPORTED", "UNSUPPORTED"),
    ("ask me  first", "ask me first"),
    ("UNSPECIFIED", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("words", "spdx"), SPELLINGS)
def test_a_licence_is_known_by_any_of_its_spellings(words: str | None, spdx: str | None) -> None:
    assert normalise(words).id == spdx


def test_a_licence_keeps_the_url_it_came_with_and_gets_one_otherwise() -> None:
    port = "https://creativecommons.org/licenses/by/2.0/fr/"
    assert normalise(port).url == port
    assert normalise("CC_BY_NC_4_0").url == "https://creativecommons.org/licenses/by-nc/4.0/"
    assert normalise("CC BY").url is None
    assert normalise("Unsplash").url == "https://unsplash.com/license"


CC = st.builds(
    "{}-{}".format,
    st.sampled_from(["CC-BY", "CC-BY-NC", "CC-BY-SA", "CC-BY-ND", "CC-BY-NC-SA", "CC-BY-NC-ND"]),
    st.sampled_from(["1.0", "2.0", "2.5", "3.0", "4.0"]),
)


@given(CC, st.sampled_from(["{}", "{}legalcode", "{}deed.es", "{}rdf"]), st.booleans())
def test_the_url_of_a_creative_commons_id_leads_back_to_it(id_: str, form: str, tls: bool) -> None:
    url = form.format(cc_url(id_))
    assert normalise(url if tls else url.replace("https:", "http:")).id == id_


@given(CC)
def test_an_id_is_read_as_itself_and_matches_its_family_only(id_: str) -> None:
    assert normalise(id_).id == id_
    assert matches(id_, frozenset({id_}))
    families = {"cc0", "cc-by", "cc-by-nc", "cc-by-sa", "cc-by-nd", "cc-by-nc-sa", "cc-by-nc-nd"}
    assert {one for one in families if matches(id_, frozenset({one}))} == {family(id_)}


@given(st.text(max_size=60))
def test_reading_what_was_read_changes_nothing(words: str) -> None:
    once = normalise(words).id
    assert normalise(once).id == once


def test_a_filter_lets_nothing_through_that_it_does_not_know() -> None:
    open_ones = frozenset({"cc0", "cc-by", "public-domain"})
    assert not matches(None, open_ones)
    assert not matches("All rights reserved", open_ones)
    assert not matches("CC-BY-NC", open_ones)
    assert not matches("CC BY or CC BY-NC", open_ones)
    assert not matches("Unsplash", open_ones)
    assert matches("CC-PDM-1.0", open_ones)
    assert matches("Unsplash", frozenset({"unsplash"}))
    assert matches("all rights reserved", frozenset({"All Rights Reserved"}))
    assert not matches("CC-BY-3.0", frozenset({"CC-BY-4.0"}))
    assert not matches("CC-BY", frozenset({"CC-BY-4.0"}))


def test_no_filter_lets_everything_through() -> None:
    assert matches(None, frozenset())
    assert matches("All rights reserved", frozenset())


def test_a_filter_with_a_word_that_is_no_licence_is_refused_and_names_the_families() -> None:
    check_wanted([*FAMILIES, "CC-BY-4.0", "CC BY-NC 3.0", "odbl", "MIT", "pd", "Unsplash+"])
    check_wanted(["ask me"], own=["Ask me"])
    for word in ("foo", "", "none", "ask me"):
        with pytest.raises(UsageError) as caught:
            check_wanted(["cc0", word])
        assert "cc-by-nc-sa" in caught.value.hint
