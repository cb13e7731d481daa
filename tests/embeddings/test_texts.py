import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.texts import LONGEST, event_text, is_cut, item_text, normalise

# Surrogates and control characters included: raw files hold them.
any_text = st.text(st.characters(), max_size=40)
pieces = [
    "<",
    ">",
    "&",
    ";",
    "amp",
    "lt",
    "gt",
    "#38",
    "#x3c",
    "b",
    "br",
    "/",
    "!--",
    "--",
    "script",
    " ",
    "a",
    "＜",
    "＆",
]
markup = st.lists(st.sampled_from(pieces), max_size=30).map("".join)


@given(any_text)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(markup)
def test_normalising_markup_in_markup_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(any_text)
def test_a_normalised_text_can_be_hashed_and_tokenised(text: str) -> None:
    clean = normalise(text)
    clean.encode()
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in clean)
    assert clean == " ".join(clean.split())


@given(any_text)
def test_white_space_around_and_inside_does_not_count(text: str) -> None:
    assert normalise(f" \t{text}\n\n") == normalise(text)


def test_composed_and_decomposed_accents_are_one_text() -> None:
    assert normalise("cafe\u0301") == normalise("cafe\x00\u0301") == normalise("café")


def test_texts_without_content_are_empty() -> None:
    assert [normalise(text) for text in (None, "", "  \n", "...", "?!", "\x00", "-")] == [""] * 7
    assert item_text(None, "|", " - ") == ""
    assert event_text(None) == ""


def test_other_scripts_numbers_and_symbols_are_content() -> None:
    assert [normalise(text) for text in ("我爱历史书", "5", "❤", "👍🏽")] == ["我爱历史书", "5", "❤", "👍🏽"]


def test_an_item_is_its_title_categories_and_description() -> None:
    text = item_text("Toy  Story (1995)", "Animation|Children's||Comedy", "Toys come alive!")
    assert text == "Toy Story (1995). Animation, Children's, Comedy. Toys come alive!"
    assert item_text("Heat") == "Heat."
    assert item_text(None, "Drama") == "Drama."


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("One<br />two<br>three", "One two three"),
        ("un<b>believ</b>able <p class='x'>good</p>", "unbelievable good"),
        ("Tom &amp; Jerry &#39;s &quot;best&quot;&nbsp;of", 'Tom & Jerry \'s "best" of'),
        ("&amp;lt;i&amp;gt;deep&amp;lt;/i&amp;gt;", "deep"),
        ("before<!-- hidden --><script>var a = '<b>';</script> after", "before after"),
        ("a < b, 5 > 4 and I <3 it", "a < b, 5 > 4 and I <3 it"),
        ("Ｆｕｌｌ－ｗｉｄｔｈ １２３ ｶﾅ ①", "Full-width 123 カナ 1"),
        ("我爱历史书，很好！", "我爱历史书,很好!"),
        ("👩\u200d👩\u200d👧 ❤️ 🇨🇳", "👩\u200d👩\u200d👧 ❤️ 🇨🇳"),
        ("\u200fשלום\u202c \u202bعالم\u200e", "שלום عالم"),
        ("half \ud83d a \ude00 pair", "half a pair"),
        ("bell\x07 null\x00 tab\there\u2028line", "bell null tab here line"),
        ("\ufeffmarked", "marked"),
        ("nano None of these null", "nano None of these null"),
    ],
)
def test_one_normalisation_for_what_real_texts_hold(raw: str, clean: str) -> None:
    assert normalise(raw) == clean


@pytest.mark.parametrize(
    "text", ["nan", "NaN", " None ", "null", "NULL", "<b>nan</b>", "<br/>", "&nbsp;", "\u200f", "\ud800"]
)
def test_what_says_nothing_has_no_content(text: str) -> None:
    assert normalise(text) == ""
    assert item_text(text, text, text) == ""
    assert item_text(text, "tea", text) == "tea."


@pytest.mark.parametrize(
    "piece",
    ["word ", "x", "<", "<!--", "<script>", "<script", "<a ", "&", "&amp;", "&#38", "<<b>b>", "&lt;", "ﷺ", "\u0301"],
)
def test_a_text_of_a_megabyte_is_cut_and_takes_bounded_work(piece: str) -> None:
    text = piece * (1_000_000 // len(piece) + 1)
    started = time.process_time()
    clean = normalise(text)
    assert time.process_time() - started < 2
    assert len(clean) <= LONGEST
    assert normalise(clean) == clean
    assert is_cut(text)
    assert not is_cut(text[:LONGEST], None, "")
