with
paired as (
    select * from {{ ref('int_events__shown') }}
),

shown as (
    select * from {{ source('run', 'shown') }}
),

kept as (
    select distinct generation from shown
),

joined as (
    select
        paired.generation,
        paired.is_exposed,
        paired.is_clicked,
        shown.rank,
        shown.candidate_sources,
        shown.model_version,
        case
            when paired.generation is null then 'no generation'
            when kept.generation is null then 'unknown generation'
            when shown.rank is null then 'not listed'
        end as apart
    from paired
    left join kept on paired.generation = kept.generation
    left join shown
        on
            paired.generation = shown.generation
            and paired.user_id = shown.user_id
            and paired.item_id = shown.item_id
),

of_sources as (
    select
        * exclude (candidate_sources),
        unnest(candidate_sources) as candidate_source
    from joined
    where apart is null
),

-- A generation that nobody knows is not named: what stands in an event is not ours to publish.
counted as (
    select
        coalesce(apart, 'all') as subject,
        is_exposed,
        is_clicked
    from joined
    union all
    select
        generation as subject,
        is_exposed,
        is_clicked
    from joined
    where apart is null
    union all
    select
        model_version as subject,
        is_exposed,
        is_clicked
    from joined
    where apart is null
    union all
    select
        'rank ' || rank as subject,
        is_exposed,
        is_clicked
    from joined
    where apart is null
    union all
    select
        'source ' || candidate_source as subject,
        is_exposed,
        is_clicked
    from of_sources
    -- An hour's few rows say little by rank or source: they are in the lines over all generations.
    union all
    select
        generation || '/rank ' || rank as subject,
        is_exposed,
        is_clicked
    from joined
    where apart is null and generation like '%-nightly-%'
    union all
    select
        generation || '/source ' || candidate_source as subject,
        is_exposed,
        is_clicked
    from of_sources
    where generation like '%-nightly-%'
),

summed as (
    select
        subject,
        count(*) filter (where is_exposed) as exposures,
        count(*) filter (where is_exposed and is_clicked) as clicks,
        count(*) filter (where not is_exposed) as clicks_without_exposure
    from counted
    group by subject
)

select
    subject,
    exposures,
    clicks,
    clicks_without_exposure,
    clicks / nullif(exposures, 0) as click_through_rate
from summed
