# SPDX-License-Identifier: BSD-2-Clause
"""A PostgreSQL server of one's own: in a temporary directory, on a Unix socket only, killed as one likes.

    from pg import postgres   # the fixture: one server for each test module, started
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.path.join(ROOT, os.environ.get("MSP_BUILD", "build/release"))
USER = "msproto"


def program(name):
    return os.path.join(BUILD, "parentd", name)


def programs():
    """The directory of the newest server that is installed; None."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres") + glob.glob("/usr/local/pgsql/bin/postgres")
    return os.path.dirname(max(found, key=lambda p: [int(n) for n in p.split("/") if n.isdigit()])) if found else None


def children(pid):
    """Processes that pid has started. The server's own are sessions of their own: a process group does not hold them."""
    out = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as f:
                text = f.read()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == pid:
            out.append(int(text.split()[0]))
    return out


class Postgres:
    """settings: of postgresql.conf. Durable as in production unless told otherwise."""

    def __init__(self, copy_of=None, **settings):
        self.bin = programs()
        self.dir = tempfile.mkdtemp(prefix="msp-pg-")
        self.data, self.proc, self.settings = os.path.join(self.dir, "data"), None, settings
        # PostgreSQL refuses to run as root.
        self.who = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.dir, account.pw_uid, account.pw_gid)
            self.who = dict(user=account.pw_uid, group=account.pw_gid, extra_groups=[])
        os.chmod(self.dir, 0o755)
        if copy_of:
            self.run("pg_basebackup", "-d", copy_of.conninfo, "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        else:
            self.run("initdb", "-D", self.data, "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale")

    def run(self, program, *args, **kw):
        return subprocess.run([os.path.join(self.bin, program), *args], check=True, text=True, cwd=self.dir, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self.who, **kw).stdout

    @property
    def conninfo(self):
        return f"host={self.dir} user={USER} dbname=postgres"

    def conn_file(self, path, text=None):
        """A file with the connection string, as parentd wants it."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write((text or self.conninfo) + "\n")
        return str(path)

    def start(self, timeout=60):
        end = time.monotonic() + timeout
        argv = [os.path.join(self.bin, "postgres"), "-D", self.data, "-k", self.dir, "-c", "listen_addresses="]
        for k, v in self.settings.items():
            argv += ["-c", f"{k}={v}"]
        while True:
            if self.proc is None:
                with open(os.path.join(self.dir, "log"), "ab") as log:
                    self.proc = subprocess.Popen(argv, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=subprocess.STDOUT, **self.who)
            if subprocess.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", self.dir]).returncode == 0:
                return self
            if self.proc.poll() is not None:  # processes of one that was killed are still there: again
                self.proc = None
            assert time.monotonic() < end, self.log()
            time.sleep(0.05)

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()[-4000:]

    def stop(self, sig=signal.SIGINT):
        """SIGINT: clients are thrown out, the server shuts down. SIGQUIT: at once, it recovers at the next start."""
        if self.proc:
            self.proc.send_signal(sig)
            self.proc.wait(60)
            self.proc = None

    def kill(self):
        """As a power cut would, except for the disk."""
        family = children(self.proc.pid) + [self.proc.pid]
        self.proc.send_signal(signal.SIGSTOP)  # it starts no others meanwhile
        for pid in set(family + children(self.proc.pid)):
            os.kill(pid, signal.SIGKILL)
        self.proc.wait(60)
        self.proc = None

    def standby(self):
        """Another server that follows this one; promote() makes it one of its own. Not started."""
        return Postgres(copy_of=self)

    def promote(self):
        self.run("pg_ctl", "promote", "-D", self.data, "-w")

    def freeze(self):
        """Everything stands still; nothing is closed. Thawed by thaw()."""
        self.frozen = [self.proc.pid] + children(self.proc.pid)
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.frozen:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def sql(self, text):
        """Rows as lists of texts."""
        out = self.run("psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo, "-c", text)
        return [line.split("\t") for line in out.splitlines()]

    def fresh(self):
        """Without tables."""
        self.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def close(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres():
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.close()


# --- programs that say what is to be done with the server: tests/unit/parentd/pg_server.h ---

def somebody_waits(server):
    while server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")[0][0] == "0":
        pass


def foreign(server):
    server.fresh()
    server.sql("CREATE TABLE msproto_schema (song text, singer text)")


def newer(server):
    server.fresh()
    server.sql("CREATE TABLE msproto_schema (name text PRIMARY KEY, version integer NOT NULL);"
               "INSERT INTO msproto_schema VALUES ('parentd', 99), ('delegation', 99)")


def slow_commit(server):
    """A commit of bucket slow_commit takes longer than its client waits; statement_timeout is not for COMMIT."""
    server.sql("""CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(4); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON msproto_store DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.bucket = 'slow_commit') EXECUTE FUNCTION dawdle()""")


def rows(server, columns, rest):
    """All in one line."""
    return ";".join(" ".join(r) for r in server.sql(f"SELECT {columns} FROM {rest}"))


WORDS = {
    "kill": Postgres.kill, "start": Postgres.start, "stop": Postgres.stop, "freeze": Postgres.freeze, "thaw": Postgres.thaw,
    "fresh": Postgres.fresh, "waiting": somebody_waits, "foreign": foreign, "newer": newer,
    "slow-commit": slow_commit,
    "delegation": lambda s: rows(s, "owner, type, ttl, rdata, version",
                                 "msproto_delegation ORDER BY parent, child, owner, type, rdata"),
    "changes": lambda s: rows(s, "version, child, action, owner, type, ttl", "msproto_delegation_change ORDER BY change"),
    "forget": lambda s: s.sql("DELETE FROM msproto_delegation_change") and None,
    "forbid": lambda s: s.sql("ALTER TABLE msproto_delegation ADD CONSTRAINT house CHECK (ttl < 86400)") and None,
}


def converse(server, argv):
    """Runs the program; does what its lines "@word" ask for. Returns its exit status and all it said."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        said = []
        for line in p.stdout:
            said.append(line)
            if line.startswith("@"):
                answer = WORDS[line[1:].strip()](server)
                p.stdin.write((answer if isinstance(answer, str) else "done") + "\n")
                p.stdin.flush()
    return p.returncode, "".join(said)
