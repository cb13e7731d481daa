"""Categories as `dim_items` writes them."""

from tideline.ranking.rules import read_categories


def test_several_categories_an_item():
    made = read_categories(["toys|books", None, " books | toys |", "", "books|books"])

    assert made.names == ("books", "toys")
    assert made.matrix.toarray().tolist() == [[1, 1], [0, 0], [1, 1], [0, 0], [1, 0]]
    assert read_categories([None]).matrix.shape == (1, 0)
