# SPDX-License-Identifier: BSD-2-Clause
"""The PostgreSQL store of parentd against a real server, which is killed, frozen and started again as the test wants."""

from pg import converse, postgres, program  # noqa: F401, the fixture


def test_store_pg(postgres, tmp_path):
    rc, said = converse(postgres, [program("store_pg_test"), postgres.conn_file(tmp_path / "conn")])
    assert rc == 0, said
