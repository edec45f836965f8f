"""Ask a SQLite database in words: the question is typed at a forefill server, and the SQL of its answer is run.

python client/examples/text_to_sql.py 127.0.0.1:50051 clinic.db "How many patients are there?"

The database is opened read-only, and a query may take two seconds and return twenty rows.
"""

import sqlite3
import sys
import time
from pathlib import Path
from urllib.parse import quote

from forefill_client import Client, ForefillError, Sampling

SECONDS = 2.0
MOST_ROWS = 20


def schema_of(database: sqlite3.Connection) -> str:
    statements = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name")
    return ";\n".join(sql for (sql,) in statements)


def ask(address: str, schema: str, question: str) -> str:
    system = f"You write one SQLite query that answers the user's question, and nothing else. The schema:\n\n{schema}"
    greedy = Sampling(temperature=0, max_tokens=200)
    with Client.connect(address) as client, client.session([("system", system)], sampling=greedy) as session:
        for char in question:  # a text box does this at each key
            session.type(char)
        return session.submit().text().strip().removeprefix("```sql").removesuffix("```").strip()


def run(database: sqlite3.Connection, query: str) -> None:
    deadline = time.monotonic() + SECONDS
    database.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
    rows = database.execute(query)
    print(" | ".join(name for name, *_ in rows.description or ()))
    for row in rows.fetchmany(MOST_ROWS):
        print(" | ".join(map(str, row)))


def main(address: str, path: str, question: str) -> None:
    with sqlite3.connect(f"file:{quote(str(Path(path).resolve()))}?mode=ro", uri=True) as database:
        query = ask(address, schema_of(database), question)
        print(query, file=sys.stderr)
        run(database, query)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (ForefillError, sqlite3.Error) as error:
        sys.exit(f"error: {error}")
