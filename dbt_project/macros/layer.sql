{#- The scored rows of the run, if it is of this kind: each layer of recommendations has its own table. -#}
{% macro layer(kind) %}
with
scored as (
    select * from {{ source('run', 'scored') }}
),

settings as (
    select * from {{ ref('run_settings') }}
)

select
    scored.user_id,
    scored.rank,
    scored.item_id,
    scored.score,
    scored.long_score,
    scored.short_score,
    scored.score_parts,
    scored.rules,
    scored.reason,
    scored.because,
    scored.candidate_sources,
    scored.model_version,
    settings.as_of,
    settings.generation
from scored
cross join settings
where settings.kind = '{{ kind }}'
{%- endmacro %}
