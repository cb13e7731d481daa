{#- A weight after `age` (an interval): halved for each half-life; a null half-life keeps it. Never 0 for a weight above 0,
    so that whoever has only old events still has a mean. Each row is rounded to DECIMAL: sums do not depend on their order. -#}
{% macro decayed(weight, newest, event_at, half_life_days) %}
    cast(
        case
            when {{ half_life_days }} is null or {{ weight }} = 0 then {{ weight }}
            else greatest(
                {{ weight }} * pow(0.5, epoch({{ newest }} - {{ event_at }}) / (86400.0 * {{ half_life_days }})),
                0.000000001
            )
        end
        as decimal(18, 9)
    )
{%- endmacro %}
