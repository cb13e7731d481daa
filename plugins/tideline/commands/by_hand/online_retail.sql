-- `read`: every raw row with its hash; `events` and `items`: the canonical columns of what the source's rules let through.
create temp table read as
select
    *,
    row_number() over () as row_number,
    md5('invoices' || to_json({
        'InvoiceNo': InvoiceNo, 'StockCode': StockCode, 'Description': Description, 'Quantity': Quantity,
        'InvoiceDate': InvoiceDate, 'UnitPrice': UnitPrice, 'CustomerID': CustomerID, 'Country': Country
    })::varchar) as event_id,
    upper(trim(StockCode)) as item_id,
    nullif(trim(Description), 'nan') as title,
    timezone('UTC', timezone('Europe/London', InvoiceDate::timestamp)) as invoiced_at,
    case when isfinite(CustomerID) then CustomerID::bigint::varchar end as user_id,
    coalesce(InvoiceNo like 'C%', false) as is_cancellation,
    upper(trim(StockCode)) in ('POST', 'DOT', 'C2', 'M', 'D', 'S', 'B', 'BANK CHARGES', 'AMAZONFEE', 'CRUK', '23444',
        '23702')
    or upper(trim(StockCode)) like 'GIFT%'
    or coalesce(trim(Description) ilike '%gift voucher%', false)
    or (Quantity <= 0 and not is_cancellation)
    or UnitPrice <= 0 as is_ignored
from read_parquet(getvariable('landing') || '/*.parquet');

create temp table events as
select
    event_id, user_id, item_id, if(is_cancellation, 'cancellation', 'purchase') as event_type, invoiced_at as event_at,
    abs(Quantity)::double as event_value,
    null::varchar as event_text
from read
where not is_ignored and user_id is not null and item_id is not null and invoiced_at >= timestamp '1900-01-01'
    and abs(Quantity) between 1 and 10000;

create temp table items as
select item_id, title, null::varchar as description, null::varchar as category, min(invoiced_at) as updated_at
from read
where not is_ignored and not is_cancellation and regexp_matches(title, '[A-Za-z]{3}') and item_id is not null
group by item_id, title;
