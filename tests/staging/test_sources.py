"""What the built-in sources make of single rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb

from embeddings.settings import Settings
from tideline.intake import lake_files, list_batches, take_in

LINE = "invoice, code, name, quantity, moment, price, customer"
LINES = [
    ("536365", "85123a", "WHITE HEART ", 6, "2010-12-01 08:26", 2.55, 17850),  # winter: UTC
    ("540000", "85123A", "WHITE HEART", 1, "2011-07-01 08:26", 2.55, 17850),  # summer: an hour earlier in UTC
    ("540001", "85123A", "RED HEART", 1, "2011-08-01 10:00", 2.55, None),  # no customer; the product has a new name
    ("C540002", "85123A", "WHITE HEART", -6, "2011-08-01 10:00", 2.55, None),
    ("C540007", "85123A", "WHITE HEART", -6, "2011-08-01 10:00", 2.55, 17850),
    ("C540008", "POST", "POSTAGE", -1, "2011-08-01 10:00", 18.0, 17850),
    ("540009", "85123A", "WHITE HEART", 74215, "2011-08-01 10:00", 1.04, 17850),
    ("540003", "POST", "POSTAGE", 1, "2011-08-01 10:00", 18.0, 17850),
    ("540004", "gift_0001_20", "Dotcomgiftshop Gift Voucher £20.00", 1, "2011-08-01 10:00", 20.0, None),
    ("540005", "22139", "damaged", -3, "2011-08-01 10:00", 0.0, None),
    ("540006", "22139", "nan", 3, "2011-08-01 10:00", 0.0, 12345),  # a gift: nothing was paid
]


def rows_of(settings: Settings, kind: int, query: str) -> list[tuple]:
    files = lake_files(settings.root, [batch["batch_id"] for batch in list_batches(settings.root)])[kind]
    return duckdb.execute(query, [list(map(str, files))]).fetchall()


def test_online_retail_sets_aside_what_is_no_purchase_and_names_products_from_their_sales(
    settings_for: Callable[..., Settings], land_parquet: Callable[[str, str], Path]
) -> None:
    values = ", ".join(str(line).replace("None", "null") for line in LINES)
    land_parquet(
        "retail.parquet",
        'select invoice as "InvoiceNo", code as "StockCode", name as "Description", quantity::bigint as "Quantity", '
        'moment::timestamp_ns as "InvoiceDate", price::double as "UnitPrice", customer::double as "CustomerID", '
        f"'United Kingdom' as \"Country\" from (values {values}) as lines({LINE})",
    )
    settings = settings_for("online_retail")
    take_in(settings)
    (batch,) = list_batches(settings.root)
    assert batch["ignored_by"] == {"not_a_product": 3, "stock_adjustment": 1, "price_out_of_range": 1}
    assert batch["reasons"] == {"user_id_missing": 2, "value_out_of_range": 1}
    events = rows_of(
        settings,
        0,
        "select event_type, user_id, item_id, event_at::varchar, event_value from read_parquet($1) order by all",
    )
    assert events == [
        ("cancellation", "17850", "85123A", "2011-08-01 09:00:00", 6.0),
        ("purchase", "17850", "85123A", "2010-12-01 08:26:00", 6.0),
        ("purchase", "17850", "85123A", "2011-07-01 07:26:00", 1.0),
    ]
    items = rows_of(settings, 1, "select item_id, title, updated_at::varchar from read_parquet($1) order by updated_at")
    assert items == [
        ("85123A", "WHITE HEART", "2010-12-01 08:26:00"),
        ("85123A", "RED HEART", "2011-08-01 09:00:00"),
    ]


def test_movielens_genres_are_joined_and_titles_keep_their_year(
    settings_for: Callable[..., Settings], land: Callable[[str, str], Path]
) -> None:
    land(
        "ml-1m.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\r\n"
        '1m_1\t"Great Performances" (1993)\t5\t978300760\r\n',
    )
    land(
        "ml-1m.item",
        "item_id:token\tmovie_title:token\trelease_year:float\tgenre:token\r\n"
        "Toy Story (1995)\tToy Story\t1995\tAnimation Children's Sci-Fi\r\nNo Genre (1990)\tNo Genre\t1990\t\r\n",
    )
    settings = settings_for("movielens_1m")
    take_in(settings)
    event = rows_of(
        settings, 0, "select user_id, item_id, event_type, event_at::varchar, event_value from read_parquet($1)"
    )
    assert event == [("1m_1", '"Great Performances" (1993)', "rating", "2000-12-31 22:12:40", 5.0)]
    assert rows_of(settings, 1, "select item_id, title, category from read_parquet($1) order by item_id") == [
        ("No Genre (1990)", "No Genre (1990)", None),
        ("Toy Story (1995)", "Toy Story (1995)", "Animation|Children's|Sci-Fi"),
    ]


def test_amazon_cn_has_no_header_and_a_short_line_is_quarantined(
    settings_for: Callable[..., Settings], land: Callable[[str, str], Path]
) -> None:
    land("ratings.csv", "\ufeff4867,457976,5.0,1395676800\n42103,457976,4.0\n42103,457976,4.0,1215878400\n")
    land("products.csv", '457976^罗技 "M8" 鼠标^1,2^B009^http://x^外设产品|鼠标^好用|鼠标\n')
    settings = settings_for("amazon_cn")
    counts = take_in(settings)
    assert (counts["events"], counts["quarantined"], counts["items"]) == (2, 1, 1)
    assert rows_of(settings, 0, "select user_id, event_at::varchar from read_parquet($1)") == [
        ("42103", "2008-07-12 16:00:00"),
        ("4867", "2014-03-24 16:00:00"),
    ]
    assert rows_of(settings, 1, "select title, description, category from read_parquet($1)") == [
        ('罗技 "M8" 鼠标', "好用 鼠标", "外设产品|鼠标")
    ]
