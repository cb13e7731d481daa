{#- An id or a text that holds nothing but white space is null; anything else stays as it is, leading zeros too. -#}
{% macro staging_present(text) -%}
    case when regexp_matches({{ text }}, '\S') then {{ text }} end
{%- endmacro %}


{#- ISO 8601 text as UTC, null if it cannot be read. Without an offset it is taken as UTC, whatever the session's zone.
    (A cast of '...+02:00' to timestamp drops the offset; a cast to timestamptz takes the session's zone for the rest,
    and wants seconds and a capital Z, which are put in where they lack.) -#}
{% macro staging_iso_timestamp(text) -%}
    case
        when not regexp_matches({{ text }}, '^\s*\d{4}-\d{1,2}-\d{1,2}([T ]|\s*$)') then cast(null as timestamp)
        when regexp_matches({{ text }}, ':\d{2}(\.\d+)?\s*([Zz]|[+-]\d{2}(:?\d{2})?|[A-Z][A-Za-z_]+(/[A-Za-z_+-]+)*)\s*$')
            then timezone('UTC', coalesce(
                try_cast({{ text }} as timestamptz),
                try_cast(
                    replace(regexp_replace({{ text }}, '([T ]\d{1,2}:\d{2})\s*([Zz]|[+-])', '\1:00\2'), 'z', 'Z')
                    as timestamptz
                )
            ))
        else try_cast({{ text }} as timestamp)
    end
{%- endmacro %}


{#- Seconds since 1970 (`per_second` 1; milliseconds 1000; microseconds 1000000), as text or number, as UTC; negative
    before 1970. Null if it is no number, or more than 1969 years away. -#}
{% macro staging_epoch_timestamp(epoch, per_second=1) -%}
    case
        when abs(try_cast({{ epoch }} as double) / {{ per_second }}) < 62135596800
            then make_timestamp(cast(try_cast({{ epoch }} as double) * {{ 1000000 // per_second }} as bigint))
    end
{%- endmacro %}


{#- A local clock time of a zone as UTC. -#}
{% macro staging_local_timestamp(local_time, zone) -%}
    timezone('UTC', timezone('{{ zone }}', cast({{ local_time }} as timestamp)))
{%- endmacro %}


{#- A finite number, else null. -#}
{% macro staging_number(text) -%}
    case when isfinite(try_cast({{ text }} as double)) then try_cast({{ text }} as double) end
{%- endmacro %}


{#- The same where a comma may stand for the point, as in files separated by semicolons. With three digits after it the
    comma could part thousands, unless a zero stands before it: such a value is null, not guessed. -#}
{% macro staging_decimal(text) -%}
    coalesce(
        {{ staging_number(text) }},
        case
            when regexp_full_match({{ text }}, '\s*[-+]?(\d+,(\d{1,2}|\d{4,})|0,\d+)\s*')
                then {{ staging_number("replace(" ~ text ~ ", ',', '.')") }}
        end
    )
{%- endmacro %}
