{#- The last steps of a judgement: from `broken` (the first rule that a staged row breaks) and `ignored_by` to
    `disposition` and `rule`. A raw row is taken or refused whole, so that its release later doubles nothing. -#}
{% macro landing_disposition(examined) %}
refused as (
    select
        _file,
        _row,
        min(broken) as broken
    from {{ examined }}
    where broken is not null and ignored_by is null
    group by _file, _row
)

select
    {{ examined }}.* exclude (broken, ignored_by),
    case
        when {{ examined }}.ignored_by is not null then 'ignored'
        when refused.broken is not null then 'quarantined'
        else 'accepted'
    end as disposition,
    case
        when {{ examined }}.ignored_by is not null then {{ examined }}.ignored_by
        else coalesce({{ examined }}.broken, refused.broken)
    end as rule
from {{ examined }}
left join refused on {{ examined }}._file = refused._file and {{ examined }}._row = refused._row
{%- endmacro %}
