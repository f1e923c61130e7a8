# SPDX-License-Identifier: BSD-2-Clause
"""parentd's backend of kind sql against a real PostgreSQL."""

from pg import converse, postgres, program  # noqa: F401, the fixture


def test_backend_sql(postgres, tmp_path):
    rc, said = converse(postgres, [program("backend_sql_test"), postgres.conn_file(tmp_path / "conn")])
    assert rc == 0, said
