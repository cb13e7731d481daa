with
invoices as (
    select * from {{ source('online_retail', 'invoices') }}
),

cleaned as (
    select
        _file,
        _row,
        _hash,
        {{ staging_present('invoiceno') }} as invoice_no,
        -- The same product is typed 85049E and 85049e.
        upper(trim({{ staging_present('stockcode') }})) as stock_code,
        nullif(trim({{ staging_present('description') }}), 'nan') as description,
        quantity,
        unitprice as unit_price,
        {{ staging_local_timestamp('invoicedate', 'Europe/London') }} as invoiced_at,
        case when isfinite(customerid) then cast(cast(customerid as bigint) as varchar) end as customer_id
    from invoices
)

select
    *,
    coalesce(invoice_no like 'C%', false) as is_cancellation,
    case
        when
            stock_code in (
                'POST', 'DOT', 'C2', 'M', 'D', 'S', 'B', 'BANK CHARGES', 'AMAZONFEE', 'CRUK',
                '23444', -- Next Day Carriage
                '23702' -- High Resolution Image
            )
            or stock_code like 'GIFT%'
            or description ilike '%gift voucher%'
            then 'not_a_product'
        when quantity <= 0 and not coalesce(invoice_no like 'C%', false) then 'stock_adjustment'
        when unit_price <= 0 then 'price_out_of_range'
    end as ignored_by
from cleaned
