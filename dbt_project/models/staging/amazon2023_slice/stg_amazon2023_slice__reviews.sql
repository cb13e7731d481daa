with
reviews as (
    select * from {{ source('amazon2023_slice', 'reviews') }}
),

listed as (
    select
        _file,
        _row,
        _hash,
        user_id,
        category,
        list_filter(
            list_append(coalesce(history, []), heldout), lambda review: json_type(review) = 'OBJECT'
        ) as reviews
    from reviews
),

-- A line without a review must come out too: the contract refuses it.
numbered as (
    select
        * exclude (reviews),
        unnest(range(1, greatest(len(reviews), 1) + 1)) as place,
        reviews
    from listed
)

select
    _file,
    _row,
    _hash,
    place,
    {{ staging_present('user_id') }} as user_id,
    replace({{ staging_present('category') }}, '_', ' ') as category,
    {{ staging_present("reviews[place] ->> '$.parent_asin'") }} as product_id,
    reviews[place] ->> '$.timestamp_ms' as reviewed_at_ms,
    reviews[place] ->> '$.rating' as stars,
    {{ staging_present("reviews[place] ->> '$.review_title'") }} as review_title,
    {{ staging_present("reviews[place] ->> '$.review_full'") }} as review_text,
    {{ staging_present("reviews[place] ->> '$.product.title'") }} as product_title,
    {{ staging_present("reviews[place] ->> '$.product.brand'") }} as brand,
    {{ staging_present("reviews[place] ->> '$.product.main_category'") }} as main_category
from numbered
