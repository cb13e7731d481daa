import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from embeddings.texts import event_text, item_text, normalise

# Surrogates and control characters included: raw files hold them.
any_text = st.text(st.characters(), max_size=40)


@given(any_text)
def test_normalising_twice_changes_nothing(text: str) -> None:
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
