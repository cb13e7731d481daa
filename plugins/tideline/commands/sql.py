"""`make sql`: a read-only SQL prompt on what is published. Nothing that is typed here is stored."""

from __future__ import annotations

import contextlib
import sys

import duckdb

from embeddings.settings import Settings
from embeddings.table_files import StoreError
from tideline.serving.pointer import NothingPublishedError, SnapshotError
from tideline.serving.readers import connect
from tideline.serving.vector_reader import NEAREST, VECTOR_TABLES, names_vectors, vector_reader

PROMPT, CONTINUED = "tideline> ", "     ...> "
MAX_ROWS = 200
HELP = f"""\
.tables            the published tables and what a row of each is
.columns TABLE     the columns of a table and what they mean
.help              this
.quit              leave (so does Ctrl-D)
Anything else is SQL, ended by a semicolon. The prompt can read the published tables and nothing else.

user_vectors and item_vectors hold what the rows were made from; queries that name them take SELECT only. The items
nearest to a vector, exactly, with their cosine `similarity` (10, or as many as `k := ...` says):
  from {NEAREST}((select fused from user_vectors where user_id = '...'));
  from {NEAREST}((select vector from item_vectors where item_id = '...'), k := 20);"""

TABLES = """
select table_name as "table", comment as "what a row is" from duckdb_tables()
where not internal and not temporary and schema_name = 'main'
union all
select view_name, comment from duckdb_views() where not internal and not temporary and schema_name = 'main'
union all
select unnest($vector_tables), unnest($comments)
order by all
"""
COLUMNS = """
select column_name as "column", data_type as type, comment as meaning from duckdb_columns()
where not internal and schema_name = 'main' and table_name = $table order by column_index
"""
VECTOR_COLUMNS = 'select unnest($names) as "column", unnest($types) as type, unnest($comments) as meaning'


def run_sql(settings: Settings, query: str | None, generation: str | None) -> int:
    """Answer one query, or those piped in, or open a prompt on a terminal.

    Parameters
    ----------
    query
        SQL or a dot command; None reads standard input.
    generation
        A stored generation; None means the current one, looked up anew for each query.

    Returns
    -------
    int
        Exit status: 0, or 1 if a query failed.
    """
    if query is None and sys.stdin.isatty():
        return _prompt(settings, generation)
    return _answer(settings, sys.stdin.read() if query is None else query, generation)


def _prompt(settings: Settings, generation: str | None) -> int:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (gives `input` line editing and a history that lives in memory only)
    try:
        connect(settings, generation).close()
    except (NothingPublishedError, SnapshotError, ValueError) as error:
        return _fail(str(error))
    print(f"{generation or 'The current generation'} of {settings.source}, read-only. .help shows what there is.")
    typed = ""
    while True:
        try:
            line = input(CONTINUED if typed else PROMPT)
        except EOFError:
            print()
            return 0
        except KeyboardInterrupt:
            print()
            typed = ""
            continue
        if not typed and line.strip() in (".quit", ".exit"):
            return 0
        typed = f"{typed}\n{line}" if typed else line
        if typed.strip().startswith(".") or typed.rstrip().endswith(";") or not typed.strip():
            with contextlib.suppress(KeyboardInterrupt):
                _answer(settings, typed, generation)
            typed = ""


def _answer(settings: Settings, text: str, generation: str | None) -> int:
    text = text.strip()
    if text == ".help":
        print(HELP)
        return 0
    try:
        # One connection for each answer: the next one sees what was published meanwhile.
        if names_vectors(text) and not text.startswith("."):
            with vector_reader(settings, generation) as read:
                for relation in read(text):
                    _show(relation)
            return 0
        with connect(settings, generation) as published:
            if text.startswith("."):
                return _command(published, text)
            for statement in published.extract_statements(text):
                _show(published.sql(statement.query))
    except (NothingPublishedError, SnapshotError, StoreError, ValueError) as error:
        return _fail(str(error))
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.CatalogException as error:
        return _fail(f"{error}\n.tables lists the tables, .columns TABLE the columns of one")
    except duckdb.OutOfMemoryException as error:
        return _fail(f"{error}\nask for less at once, or raise TIDELINE_MEMORY_LIMIT ({settings.memory_limit})")
    except (duckdb.PermissionException, duckdb.InvalidInputException) as error:
        return _fail(f"{error}\nthis prompt can only read the published tables")
    except duckdb.Error as error:
        return _fail(str(error))
    return 0


def _command(published: duckdb.DuckDBPyConnection, text: str) -> int:
    name, _, argument = text.partition(" ")
    table = argument.strip().rstrip(";")
    if name == ".tables":
        comments = [table.comment for table in VECTOR_TABLES.values()]
        _show(published.sql(TABLES, params={"vector_tables": list(VECTOR_TABLES), "comments": comments}))
        return 0
    if name == ".columns" and table in VECTOR_TABLES:
        names, types, meanings = zip(*VECTOR_TABLES[table].columns, strict=True)
        _show(published.sql(VECTOR_COLUMNS, params={"names": names, "types": types, "comments": meanings}))
        return 0
    if name == ".columns" and table:
        found = published.sql(COLUMNS, params={"table": table})
        if found.fetchone() is None:
            return _fail(f"there is no table {table!r}: .tables lists them")
        _show(published.sql(COLUMNS, params={"table": table}))
        return 0
    return _fail(f"unknown command {text!r}; .help shows what there is")


def _show(relation: duckdb.DuckDBPyRelation | None) -> None:
    if relation is None:
        return
    try:
        relation.show(max_rows=MAX_ROWS, max_col_width=120, max_width=200)
    except RuntimeError as error:
        # What DuckDB makes of Ctrl-C.
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
        raise


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1
