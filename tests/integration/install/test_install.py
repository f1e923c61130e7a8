# SPDX-License-Identifier: BSD-2-Clause
"""What `cmake --install` puts down: a library others can build with, daemons that start, programs that are hardened."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / os.environ.get("MSP_BUILD", "build/release")
PROGRAMS = ["bin/msctl", "sbin/msad", "sbin/combinerd", "sbin/parentd"]
PAGES = ["man1/msctl.1", "man5/msad.conf.5", "man5/combinerd.conf.5", "man8/msad.8", "man8/combinerd.8", "man5/parentd.conf.5", "man8/parentd.8"]
DAEMONS = ["msad", "combinerd", "parentd"]
EXAMPLES, HOOK = "share/doc/msproto/examples", "lib/parentd/epp-hook"
COMPILERS = ["gcc", "clang"]

PROGRAM = r"""
#include <msproto/msg/msg.h>
#include <msproto/wire/name.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct msp_name name;
	struct msp_msgw w;
	struct msp_span out;
	uint8_t mem[512];

	if (msp_name_from_text("Zone.Example", &name) != MSP_OK)
		return 1;
	msp_msgw_init(&w, mem, sizeof(mem), 7, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &name, 6, 1);
	if (msp_msgw_finish(&w, &out) != MSP_OK)
		return 2;
	printf("%s %zu %s\n", MSP_NAME(&name), out.len, msp_err_name(MSP_ESIG));
	return 0;
}
"""


def run(*argv, env=None):
    p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120, env=dict(os.environ, **(env or {})))
    assert p.returncode == 0, f"{argv}: {p.stdout}{p.stderr}"
    return p.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installed into a prefix of its own; the build must be complete."""
    where = tmp_path_factory.mktemp("install") / "usr"
    run("cmake", "--install", BUILD, "--prefix", where)
    return where


@pytest.fixture(scope="module")
def libdir(prefix):
    found = list(prefix.glob("lib/**/libmsproto.so"))
    assert len(found) == 1
    return found[0].parent


@pytest.fixture(scope="module")
def library(libdir):
    return libdir / "libmsproto.so"


@pytest.fixture(scope="module")
def binaries(prefix, library):
    return [prefix / p for p in PROGRAMS] + [library.resolve()]


def test_destdir_is_obeyed(tmp_path):
    run("cmake", "--install", BUILD, env={"DESTDIR": str(tmp_path)})
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {"msctl", "msad", "combinerd", "parentd", "epp-hook"} <= {p.name for p in files}
    for p in files:  # nothing that is installed knows where it was built
        if p.suffix in (".pc", ".h", ".1", ".5", ".8"):
            assert str(BUILD) not in p.read_text() and str(tmp_path) not in p.read_text(), p


def test_nothing_is_missing_and_nothing_is_too_much(prefix, library):
    for program in PROGRAMS:
        assert os.access(prefix / program, os.X_OK)
    for page in PAGES:
        assert (prefix / "share" / "man" / page).stat().st_size > 500
    for daemon in DAEMONS:
        example = f"{daemon}.conf"
        assert (prefix / EXAMPLES / example).read_text() == (ROOT / "packaging/examples" / example).read_text()
    public = ROOT / "libmsproto" / "include"
    assert sorted(p.relative_to(public) for p in public.rglob("*.h")) == sorted(
        p.relative_to(prefix / "include") for p in (prefix / "include").rglob("*.h"))
    here = {p.name for p in prefix.rglob("*") if p.is_file()}
    assert not {name for name in here if re.search(r"test|fuzz|tool|conf-table|\.a$|\.o$", name)}


def test_soname_and_links(library):
    assert re.search(r"SONAME.*\[libmsproto\.so\.0\]", run("readelf", "-d", library))
    assert library.is_symlink() and (library.parent / "libmsproto.so.0").exists()
    assert re.fullmatch(r"libmsproto\.so\.0\.\d+\.\d+", library.resolve().name)


def test_only_the_librarys_own_names_are_exported(library):
    names = [line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()]
    plain = {n.split("@")[0] for n in names}
    assert len(plain) > 200 and "msp_name_from_text" in plain
    assert not {n for n in plain if not n.startswith("msp_") and n != "MSPROTO_0"}


@pytest.fixture(scope="module")
def pkg_config(libdir):
    env = {"PKG_CONFIG_PATH": str(libdir / "pkgconfig")}
    return lambda *args: run("pkg-config", *args, "msproto", env=env).split()


def test_pkg_config_file(pkg_config, prefix, libdir):
    # The prefix of the configuration stands in the file; a package is installed where it was configured for.
    assert pkg_config("--modversion")[0].count(".") == 2
    moved = pkg_config(f"--define-variable=prefix={prefix}", "--cflags", "--libs")
    assert f"-I{prefix}/include" in moved and f"-L{libdir}" in moved and "-lmsproto" in moved and "-ljansson" in moved


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_program_of_somebody_else_builds_and_runs(tmp_path, compiler, pkg_config, prefix, libdir):
    (tmp_path / "x.c").write_text(PROGRAM)
    flags = pkg_config(f"--define-variable=prefix={prefix}", "--cflags", "--libs")
    run(compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", tmp_path / "x", tmp_path / "x.c", *flags)
    assert run(tmp_path / "x", env={"LD_LIBRARY_PATH": str(libdir)}) == "Zone.Example. 30 ESIG\n"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_each_installed_header_compiles_alone(tmp_path, compiler, pkg_config, prefix):
    flags = pkg_config(f"--define-variable=prefix={prefix}", "--cflags")
    for header in sorted((prefix / "include" / "msproto").rglob("*.h")):
        unit = tmp_path / "unit.c"
        unit.write_text(f"#include <{header.relative_to(prefix / 'include')}>\nextern int a_unit_is_not_empty;\n")
        run(compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", *flags, unit)


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_start_and_know_their_version(prefix, libdir, program):
    flag = "--version" if "msctl" in program else "-V"
    out = run(prefix / program, flag, env={"LD_LIBRARY_PATH": str(libdir)})
    assert re.fullmatch(r"(msctl|msad|combinerd|parentd) \d+\.\d+\.\d+\n", out)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_the_installed_msctl_finds_the_installed_daemon(prefix, libdir, daemon):
    p = subprocess.run([str(prefix / "bin/msctl"), "conf", "check", daemon, str(prefix / EXAMPLES / f"{daemon}.conf")],
                       capture_output=True, text=True, env=dict(os.environ, LD_LIBRARY_PATH=str(libdir)))
    assert (p.returncode, p.stdout, p.stderr) == (0, "", "")


def test_the_installed_hook_is_where_the_manual_and_the_example_have_it(prefix):
    path = f"/usr/{HOOK}"
    assert path in (prefix / EXAMPLES / "parentd.conf").read_text()
    assert path in (prefix / "share/man/man8/parentd.8").read_text().replace("\\-", "-")
    assert os.access(prefix / HOOK, os.X_OK)


def test_the_installed_hook_does_what_the_readme_shows(prefix):
    """Its example of a change, made an EPP command."""
    change = json.loads(re.search(r"```json\n(.*?)```", (ROOT / "parentd/README.md").read_text(), re.S)[1])
    change.update(haveDs=[], haveNs=[{"name": "ns.one.test.", "addresses": []}])  # which the text below it adds
    p = subprocess.run([str(prefix / HOOK), "--print"], input=json.dumps(change), capture_output=True, text=True, timeout=60)
    assert (p.returncode, p.stderr) == (0, "")
    root = xml.etree.ElementTree.fromstring(p.stdout)
    names = [e.text for e in root.iter() if e.tag.endswith("}name")]
    hosts = [e.text.strip().rstrip(".") for e in root.iter() if e.tag.endswith("}hostName")]
    assert any("child.example" in n for n in names) and set(hosts) == {"ns.one.test", "ns.two.test"}


def test_no_binary_looks_for_libraries_where_it_was_built(binaries):
    for b in binaries:
        assert not re.search(r"R(UN)?PATH", run("readelf", "-d", b)), b


# --- hardening ---


def test_relro_and_immediate_binding(binaries):
    for b in binaries:
        assert "GNU_RELRO" in run("readelf", "-lW", b), b
        assert re.search(r"BIND_NOW|FLAGS.*\bNOW\b", run("readelf", "-d", b)), b


def test_programs_are_position_independent(binaries):
    for b in binaries:
        assert re.search(r"Type:\s+DYN", run("readelf", "-h", b)), b
    for b in binaries[:-1]:
        assert re.search(r"FLAGS_1.*\bPIE\b", run("readelf", "-d", b)), b


def test_stacks_are_not_executable_and_no_segment_is_writable_and_executable(binaries):
    for b in binaries:
        segments = run("readelf", "-lW", b)
        stack = re.search(r"GNU_STACK.*", segments)[0]
        assert " RW " in stack and "RWE" not in segments, b


def test_stack_canaries_and_checked_functions(binaries):
    for b in binaries:
        symbols = run("readelf", "--dyn-syms", "-W", b)
        assert "__stack_chk_fail" in symbols, b
        assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", "")), b


# --- man pages ---


@pytest.mark.parametrize("page", PAGES)
def test_man_pages_are_well_formed(prefix, page):
    path = prefix / "share" / "man" / page
    assert "@SETTINGS@" not in path.read_text()
    groff = shutil.which("groff")
    assert groff, "groff is not installed"
    p = subprocess.run([groff, "-mdoc", "-Tascii", "-ww", str(path)], capture_output=True, text=True)
    assert p.returncode == 0 and p.stderr == "" and len(p.stdout) > 500


@pytest.mark.parametrize("daemon", DAEMONS)
def test_every_setting_of_the_example_is_in_the_man_page(prefix, daemon):
    page = (prefix / "share" / "man" / "man5" / f"{daemon}.conf.5").read_text().replace("\\-", "-")
    documented = set(re.findall(r'^\.It Ic "([^"]+)"', page, re.M))
    example = "\n".join(line.split("#")[0] for line in (ROOT / f"packaging/examples/{daemon}.conf").read_text().splitlines())
    used = set(re.findall(r"\b([a-z][a-z0-9-]*)\s*[=:](?=\s)", re.sub(r'"[^"]*"', '""', example)))
    assert len(used) > 8 and used <= documented


def test_every_command_of_msctl_is_in_its_man_page(prefix, libdir):
    usage = run(prefix / "bin/msctl", "--help", env={"LD_LIBRARY_PATH": str(libdir)})
    page = (prefix / "share/man/man1/msctl.1").read_text().replace("\\-", "-")
    commands = [m.strip() for m in re.findall(r"^  ([a-z]+(?: [a-z]+)?) ", usage, re.M)]
    assert len(commands) > 12
    for command in commands:
        assert f"It Cm {command}" in page, command
    for flag in re.findall(r"^  --([a-z-]+)", usage, re.M):
        assert f"Fl -{flag}" in page, flag
